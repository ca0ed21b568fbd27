-- Ask, after a lost connection, which turn ran last, and let no earlier one run any more.
--
-- KEYS  1 home index of the shard
-- ARGV  1 number of the turn whose reply was lost
-- Returns 1 if that turn has run, 0 if it has not and never will. Asked again it says the same: the reply to this
-- question may be lost like any other.
-- Errors: 'FENCED ...' as for a turn.
local last = redis.pcall('HGET', KEYS[1], 't')
if type(last) == 'table' then
  return redis.error_reply('FENCED the in-flight jobs of this shard were taken over')
end
if last and tonumber(last) >= tonumber(ARGV[1]) then
  -- 'r' is the turn that was refused last: 't' has its number although it has not run.
  if redis.call('HGET', KEYS[1], 'r') == ARGV[1] then return 0 end
  return 1
end
redis.call('HSET', KEYS[1], 't', ARGV[1], 'r', ARGV[1])
return 0
