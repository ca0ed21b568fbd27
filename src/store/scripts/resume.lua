-- Ask, after a lost connection, which turn ran last, and let none up to the given one run any more.
--
-- KEYS  1 home index of the shard
-- ARGV  1 number of the newest turn whose reply was lost
-- Returns the number of the last turn that has run, 0 if none has. Those after it, up to ARGV[1], never will.
-- Errors: 'FENCED ...' as for a turn.
local last = redis.pcall('HGET', KEYS[1], 't')
if type(last) == 'table' then
  return redis.error_reply('FENCED the in-flight jobs of this shard were taken over')
end
last = tonumber(last or 0)
if last < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 't', ARGV[1]) end
return last
