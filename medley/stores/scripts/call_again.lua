-- Makes a callback of an ended job due now, with all attempts before it. An attempt in flight settles it no more.
-- KEYS callback, callbacks   ARGV callback, hash, now
-- Returns the callback's state before, or false when the song has no such callback.
local state, song = unpack(redis.call('HMGET', KEYS[1], 'state', 'song'))
if not state or song ~= ARGV[2] then return false end
if state ~= 'waiting' then
  redis.call('PERSIST', KEYS[1])
  redis.call('HINCRBY', KEYS[1], 'tries', 1)
  redis.call('HSET', KEYS[1], 'state', 'due', 'since', ARGV[3])
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
end
return state
