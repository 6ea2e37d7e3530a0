-- Records a rendered file, if the song still is what it was rendered from.
-- KEYS song   ARGV upload, file, bytes, then the stems it was made of
-- Returns 1, or 0 when the writer has to remove the file again.
local status, upload = unpack(redis.call('HMGET', KEYS[1], 'status', 'upload'))
if upload ~= ARGV[1] or status == 'canceled' then return 0 end
for i = 4, #ARGV do
  if redis.call('HEXISTS', KEYS[1], 'removed:' .. ARGV[i]) == 1 then return 0 end
end
redis.call('PERSIST', KEYS[1])  -- it is not to expire; first what takes no memory: a full Redis lets what is in work end
redis.call('HSET', KEYS[1], 'file:' .. ARGV[2], ARGV[3])
return 1
