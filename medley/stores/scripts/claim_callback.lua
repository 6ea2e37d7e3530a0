-- Claims a callback that is due, by moving its next attempt past the time limit of this one.
-- KEYS callback, callbacks   ARGV callback, now, when it may be claimed again
-- Returns the callback's fields, with the number of this attempt as `tries`, or an empty list when it is not due.
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not score or tonumber(score) > tonumber(ARGV[2]) then return {} end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return {}
end
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'tries', 1)
return redis.call('HGETALL', KEYS[1])
