-- Records what an attempt has done, and renews its lease.
-- KEYS song, lease   ARGV token, lease (ms), number of segments computed since, then fields of the record
-- Returns 1, or 0 when another attempt or a removal came between.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[2], ARGV[2])  -- first what takes no memory: a full Redis lets what is in work end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'segments', ARGV[3])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
return 1
