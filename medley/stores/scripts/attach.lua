-- Adds a callback to a song that is in work or has succeeded; it is due at once if the job has ended.
-- KEYS song, callback, callbacks
-- ARGV hash, upload, callback, url, data, now, how many that are not settled a song may have, prefix of callback keys
-- Returns the song's status, "full", or false when the record names another upload by now.
local status, upload = unpack(redis.call('HMGET', KEYS[1], 'status', 'upload'))
if upload ~= ARGV[2] or status == 'canceled' or status == 'failed' then return false end
local count = 0
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if field:sub(1, 9) == 'callback:' then
    local state = redis.call('HGET', ARGV[8] .. field:sub(10), 'state')
    if state == 'waiting' or state == 'due' then count = count + 1 end
  end
end
if count >= tonumber(ARGV[7]) then return 'full' end
redis.call('HSET', KEYS[1], 'callback:' .. ARGV[3], '')
redis.call('HSET', KEYS[2], 'song', ARGV[1], 'upload', ARGV[2], 'url', ARGV[4], 'data', ARGV[5], 'created', ARGV[6], 'state', 'waiting')
if status == 'succeeded' then
  redis.call('HSET', KEYS[2], 'state', 'due', 'status', status, 'since', ARGV[6])
  redis.call('ZADD', KEYS[3], ARGV[6], ARGV[3])
end
return status
