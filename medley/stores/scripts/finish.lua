-- Ends a job: record, queue, callbacks and the event about it in one step. Repeated by the same attempt it changes nothing.
-- KEYS song, lease, toWorker, callbacks, outbox
-- ARGV hash, token, status, now, event, prefix of callback keys, then fields of the record
-- Returns the callbacks that are due now, or false when another attempt or a removal came between.
local token, ended = unpack(redis.call('HMGET', KEYS[1], 'token', 'ended'))
local repeated = ended == ARGV[2]
if token ~= ARGV[2] and not repeated then return false end
if not repeated then
  redis.call('DEL', KEYS[2])  -- first what takes no memory: by its first write a full Redis refuses a script, or none
  redis.call('LREM', KEYS[3], 0, ARGV[1])
  redis.call('HDEL', KEYS[1], 'token')
  redis.call('HSET', KEYS[1], 'status', ARGV[3], 'finished', ARGV[4], 'ended', ARGV[2], unpack(ARGV, 7))
  redis.call('ZADD', KEYS[5], ARGV[4], ARGV[5])
end
local due, failure = {}, redis.call('HGET', KEYS[1], 'error') or ''
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if field:sub(1, 9) == 'callback:' then
    local callback = field:sub(10)
    if not repeated then
      redis.call('HSET', ARGV[6] .. callback, 'state', 'due', 'status', ARGV[3], 'since', ARGV[4], 'error', failure)
      redis.call('ZADD', KEYS[4], ARGV[4], callback)
    end
    due[#due + 1] = callback
  end
end
return due
