-- After the objects of a removed track are gone: takes its files off the record, if that is still of the same upload.
-- KEYS song, removing   ARGV hash, upload, track, then the files
redis.call('SREM', KEYS[2], ARGV[1] .. '/' .. ARGV[2] .. '/' .. ARGV[3])
if redis.call('HGET', KEYS[1], 'upload') ~= ARGV[2] then return 0 end
for i = 4, #ARGV do redis.call('HDEL', KEYS[1], 'file:' .. ARGV[i]) end
return 1
