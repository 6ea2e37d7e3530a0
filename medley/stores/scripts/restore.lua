-- Puts a record back that Redis lost, as it follows from the song's objects.
-- KEYS song, toWorker   ARGV hash, then fields of the record
-- Returns 1, or 0 when there is a record already.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if redis.call('HGET', KEYS[1], 'status') == 'queued' then
  redis.call('LREM', KEYS[2], 0, ARGV[1])
  redis.call('RPUSH', KEYS[2], ARGV[1])
end
return 1
