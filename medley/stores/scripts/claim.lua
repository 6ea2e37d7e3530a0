-- Gives the oldest song that nobody holds to a worker; the same one again when the call is repeated.
-- A token is one attempt, however often it claims a song.
-- KEYS toWorker
-- ARGV token, lease (ms), now, prefix of song keys, prefix of lease keys, then what is passed over: songs and models
-- Returns {hash, fields of the record}, or false when there is nothing to claim.
local passed = {}
for i = 6, #ARGV do passed[ARGV[i]] = true end
for _, hash in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local song, lease = ARGV[4] .. hash, ARGV[5] .. hash
  local status, model = unpack(redis.call('HMGET', song, 'status', 'model'))
  if status ~= 'queued' and status ~= 'processing' then
    redis.call('LREM', KEYS[1], 0, hash)
  elseif redis.call('GET', lease) == ARGV[1] then
    return {hash, redis.call('HGETALL', song)}
  elseif not passed[hash] and not passed[model] and redis.call('SET', lease, ARGV[1], 'NX', 'PX', ARGV[2]) then
    if redis.call('HGET', song, 'token') ~= ARGV[1] then redis.call('HINCRBY', song, 'attempts', 1) end
    redis.call('HSET', song, 'status', 'processing', 'token', ARGV[1])
    redis.call('HSETNX', song, 'started', ARGV[3])
    return {hash, redis.call('HGETALL', song)}
  end
end
return false
