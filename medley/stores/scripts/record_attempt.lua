-- Records an attempt at a callback; and, unless another attempt has been begun or asked for since, the state after it.
-- KEYS callback, callbacks
-- ARGV callback, number of the attempt, the attempt as JSON, state, next attempt ("" for none), how long to keep a settled one (s)
-- Returns 1, or 0 when the state after it is not this attempt's to say.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], '')  -- nothing: a full Redis refuses no script whose first write takes no memory
redis.call('HSET', KEYS[1], 'attempt:' .. ARGV[2], ARGV[3])
if redis.call('HGET', KEYS[1], 'tries') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[4])
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
else
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('EXPIRE', KEYS[1], ARGV[6])
end
return 1
