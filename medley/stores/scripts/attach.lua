-- Adds a callback to a song that is in work or has succeeded, and one that was lost also to one that has failed; it is due at
-- once if the job has ended. Of those that are settled the oldest leave the record for it: every script about the song goes
-- through them all.
-- KEYS song, callback, callbacks
-- ARGV hash, upload, callback, url, data, now, how many that are not settled and how many that are a song may have, prefix of callback keys, "1" if it was lost
-- Returns the song's status, "full", or false when the song has ended otherwise or the record names another upload by now.
local status, upload = unpack(redis.call('HMGET', KEYS[1], 'status', 'upload'))
if upload ~= ARGV[2] or status == 'canceled' or (status == 'failed' and ARGV[9] ~= '1') then return false end
local count, settled = 0, {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if field:sub(1, 9) == 'callback:' and field:sub(10) ~= ARGV[3] then  -- the client library repeats what was not answered
    local state, created = unpack(redis.call('HMGET', ARGV[8] .. field:sub(10), 'state', 'created'))
    if state == 'waiting' or state == 'due' then
      count = count + 1
    else
      settled[#settled + 1] = {field = field, created = tonumber(created or 0)}
    end
  end
end
if count >= tonumber(ARGV[7]) then return 'full' end
redis.call('HSET', KEYS[1], 'callback:' .. ARGV[3], '')  -- first what takes memory: a full Redis refuses it all by that
table.sort(settled, function(a, b) return a.created < b.created end)
for i = 1, #settled - tonumber(ARGV[7]) do
  redis.call('HDEL', KEYS[1], settled[i].field)
  redis.call('DEL', ARGV[8] .. settled[i].field:sub(10))
end
redis.call('HSET', KEYS[2], 'song', ARGV[1], 'upload', ARGV[2], 'url', ARGV[4], 'data', ARGV[5], 'created', ARGV[6], 'state', 'waiting')
if status == 'succeeded' or status == 'failed' then
  local failure = redis.call('HGET', KEYS[1], 'error') or ''
  redis.call('HSET', KEYS[2], 'state', 'due', 'status', status, 'since', ARGV[6], 'error', failure)
  redis.call('ZADD', KEYS[3], ARGV[6], ARGV[3])
end
return status
