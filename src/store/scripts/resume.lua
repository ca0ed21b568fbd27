-- Ask, over a new connection, which turn ran last, and let no call up to the given number run from now on: such calls may
-- still be on a connection that was given up. Safe to repeat: the reply to this may be lost like any other.
--
-- KEYS  1 home index of the shard: 't' is the number of the last turn that ran, 'b' bars calls up to that number
-- ARGV  1 highest number that the shard has given to a turn or another call; 0 if it has called nothing yet
-- Returns the number of the last turn that has run, 0 if none has. Those after it, up to ARGV[1], never will.
-- Errors: 'FENCED ...' as for a turn.   'LEFT ...' the shard has ended by itself (leave.lua)
local marks = redis.pcall('HMGET', KEYS[1], 't', 'b')
if marks.err then
  -- Only another type is a fence: see turn.lua.
  if string.sub(marks.err, 1, 9) ~= 'WRONGTYPE' then return marks end
  if redis.pcall('GET', KEYS[1]) == 'left' then return redis.error_reply('LEFT this shard has already ended') end
  return redis.error_reply('FENCED the in-flight jobs of this shard were taken over')
end
local last = tonumber(marks[1] or 0)
if tonumber(ARGV[1]) > math.max(last, tonumber(marks[2] or 0)) then
  -- First a write that needs no memory, of a field that never exists: after it a script may continue even at `maxmemory`.
  -- Without this answer there is no turn, without turns no ack, and acks are what frees memory.
  redis.call('HDEL', KEYS[1], '-')
  redis.call('HSET', KEYS[1], 'b', ARGV[1])
end
return last
