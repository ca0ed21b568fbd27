-- Ask, after a lost connection, which turn ran last, and let no earlier one run any more.
--
-- KEYS  1 home index of the shard
-- ARGV  1 number of the turn whose reply was lost
-- Returns 1 if that turn has run, 0 if it has not and never will.
-- Errors: 'FENCED ...' as for a turn.
local last = redis.pcall('HGET', KEYS[1], 't')
if type(last) == 'table' then
  return redis.error_reply('FENCED the in-flight jobs of this shard were taken over')
end
if last and tonumber(last) >= tonumber(ARGV[1]) then return 1 end
redis.call('HSET', KEYS[1], 't', ARGV[1])
return 0
