-- Marks a song as removed: from here on every fence fails. Clients that wait for its end are told that it was canceled.
-- Repeated by the same call it changes nothing.
-- KEYS song, lease, toWorker, callbacks, outbox, removing   ARGV hash, now, event, prefix of callback keys, the upload it must be ("" for any)
-- Returns the upload whose objects are to be removed, or false when there is no such song or it has another upload.
local status, upload, finished = unpack(redis.call('HMGET', KEYS[1], 'status', 'upload', 'finished'))
if status == 'canceled' and finished == ARGV[2] then return upload end
if not status or status == 'canceled' then return false end
if ARGV[5] ~= '' and upload ~= ARGV[5] then return false end
redis.call('DEL', KEYS[2])  -- first what takes no memory: by its first write a full Redis refuses a script, or none
redis.call('LREM', KEYS[3], 0, ARGV[1])
redis.call('HDEL', KEYS[1], 'token')
local waiting = status == 'queued' or status == 'processing'
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if field:sub(1, 9) == 'callback:' then
    local callback = field:sub(10)
    if waiting then
      redis.call('HSET', ARGV[4] .. callback, 'state', 'due', 'status', 'canceled', 'since', ARGV[2])
      redis.call('ZADD', KEYS[4], ARGV[2], callback)
    else
      redis.call('ZREM', KEYS[4], callback)
      redis.call('DEL', ARGV[4] .. callback)
      redis.call('HDEL', KEYS[1], field)
    end
  end
end
redis.call('HSET', KEYS[1], 'status', 'canceled', 'finished', ARGV[2])
redis.call('ZADD', KEYS[5], ARGV[2], ARGV[3])
redis.call('SADD', KEYS[6], ARGV[1] .. '/' .. upload)
return upload
