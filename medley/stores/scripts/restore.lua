-- Puts a record back that Redis lost, and its callbacks, as they follow from the song's objects.
-- KEYS song, toWorker, callbacks
-- ARGV hash, upload, now, prefix of callback keys, the ended upload whose record it takes the place of ("" for none), number of callbacks, of each its id, url, data and time, then the record's fields
-- Returns 1, or 0 when there is another record already.
local there = redis.call('HGET', KEYS[1], 'upload')
if redis.call('EXISTS', KEYS[1]) == 1 and (ARGV[5] == '' or there ~= ARGV[5]) then return 0 end
local first = 7 + 4 * tonumber(ARGV[6])
redis.call('HSET', KEYS[1], 'upload', ARGV[2])  -- a full Redis refuses only scripts whose first write takes memory
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'upload', ARGV[2], unpack(ARGV, first))
local status = redis.call('HGET', KEYS[1], 'status')
for i = 7, first - 1, 4 do
  local callback, key = ARGV[i], ARGV[4] .. ARGV[i]
  redis.call('HSET', KEYS[1], 'callback:' .. callback, '')
  redis.call('HSET', key, 'song', ARGV[1], 'upload', ARGV[2], 'url', ARGV[i + 1], 'data', ARGV[i + 2], 'created', ARGV[i + 3], 'state', 'waiting')
  if status == 'succeeded' then
    redis.call('HSET', key, 'state', 'due', 'status', status, 'since', ARGV[3])
    redis.call('ZADD', KEYS[3], ARGV[3], callback)
  end
end
if status == 'queued' then
  redis.call('LREM', KEYS[2], 0, ARGV[1])
  redis.call('RPUSH', KEYS[2], ARGV[1])
end
return 1
