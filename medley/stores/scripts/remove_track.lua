-- Marks one track (a stem or the original) of a finished song as removed.
-- KEYS song, outbox, removing   ARGV hash, track, now, event
-- Returns {status, upload, whether this call removed it}; nothing is changed unless the song has succeeded.
local status, upload = unpack(redis.call('HMGET', KEYS[1], 'status', 'upload'))
if status ~= 'succeeded' then return {status or '', upload or '', 0} end
redis.call('PERSIST', KEYS[1])  -- it is not to expire; and a full Redis refuses no script whose first write takes no memory
local new = redis.call('HSETNX', KEYS[1], 'removed:' .. ARGV[2], ARGV[3])
if new == 1 then
  redis.call('SADD', KEYS[3], ARGV[1] .. '/' .. upload .. '/' .. ARGV[2])
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
elseif redis.call('HGET', KEYS[1], 'removed:' .. ARGV[2]) == ARGV[3] then
  new = 1  -- the same call, repeated
end
return {status, upload, new}
