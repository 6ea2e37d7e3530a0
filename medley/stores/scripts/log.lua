-- Appends a line and keeps the last ones.
-- KEYS logging   ARGV line, how many are kept
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[2]), -1)
return 1
