-- Takes a stored upload into the queue, unless the song has a live record already.
-- KEYS song, toWorker, callback   ARGV hash, upload, longest queue, callback ("" for none) and its url, data, time, then the record's fields
-- Returns "queued", "known" (a live record names another upload) or "full".
local status, upload = unpack(redis.call('HMGET', KEYS[1], 'status', 'upload'))
if upload == ARGV[2] then return 'queued' end
local live = status == 'queued' or status == 'processing' or status == 'succeeded'
if live then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if field:sub(1, 8) == 'removed:' and field ~= 'removed:original' then live = status ~= 'succeeded' end
  end
end
if live then return 'known' end
if redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', KEYS[1], 'status', 'queued')  -- a full Redis refuses only scripts whose first write takes memory
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'status', 'queued', 'upload', ARGV[2], unpack(ARGV, 8))
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'callback:' .. ARGV[4], '')
  redis.call('HSET', KEYS[3], 'song', ARGV[1], 'upload', ARGV[2], 'url', ARGV[5], 'data', ARGV[6], 'created', ARGV[7], 'state', 'waiting')
end
redis.call('LREM', KEYS[2], 0, ARGV[1])
redis.call('RPUSH', KEYS[2], ARGV[1])
return 'queued'
