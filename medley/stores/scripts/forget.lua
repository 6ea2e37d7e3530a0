-- After a removed upload's objects are gone: leaves only that the song was canceled, for a while.
-- KEYS song, removing   ARGV hash, upload, how long (s)
redis.call('SREM', KEYS[2], ARGV[1] .. '/' .. ARGV[2])
local status, upload = unpack(redis.call('HMGET', KEYS[1], 'status', 'upload'))
if status ~= 'canceled' or upload ~= ARGV[2] then return 0 end
local keep = {status = true, upload = true, finished = true, created = true}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if not keep[field] and field:sub(1, 9) ~= 'callback:' then redis.call('HDEL', KEYS[1], field) end
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
