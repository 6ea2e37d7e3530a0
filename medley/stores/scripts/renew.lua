-- Renews a lease; one that expired may be retaken as long as the attempt's token stands.
-- KEYS song, lease   ARGV token, lease (ms)
-- Returns 1, or 0 when another attempt or a removal came between.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[2], ARGV[2])  -- first what takes no memory: a full Redis lets what is in work end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
