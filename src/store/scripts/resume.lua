-- Ask, after a lost connection, which turn ran last, and let none up to the given one run any more. Safe to repeat: the
-- reply to this may be lost like any other.
--
-- KEYS  1 home index of the shard: 't' is the number of the last turn that ran, 'b' bars turns up to that number
-- ARGV  1 number of the newest turn whose reply was lost
-- Returns the number of the last turn that has run, 0 if none has. Those after it, up to ARGV[1], never will.
-- Errors: 'FENCED ...' as for a turn.
local last = redis.pcall('HGET', KEYS[1], 't')
if type(last) == 'table' then
  return redis.error_reply('FENCED the in-flight jobs of this shard were taken over')
end
redis.call('HSET', KEYS[1], 'b', ARGV[1])
return tonumber(last or 0)
