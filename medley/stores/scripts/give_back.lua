-- Gives a song back: it keeps its place in the queue.
-- KEYS song, lease   ARGV token, "1" if the attempt counts
-- Returns 1, or 0 when another attempt or a removal came between.
local token, attempts = unpack(redis.call('HMGET', KEYS[1], 'token', 'attempts'))
if token ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'token')  -- first what takes no memory: by its first write a full Redis refuses a script, or none
redis.call('DEL', KEYS[2])
if ARGV[2] ~= '1' and tonumber(attempts) > 0 then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
redis.call('HSET', KEYS[1], 'status', 'queued')
return 1
