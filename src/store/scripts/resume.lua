-- Ask, after a lost connection, whether a turn has run, and if not, let it and earlier ones run no more. Safe to repeat:
-- the answer may be lost too. A turn that may not run any more is noted as half a turn later than itself.
--
-- KEYS  1 home index of the shard
-- ARGV  1 number of the turn whose reply was lost
-- Returns 1 if that turn has run, 0 if it has not and never will.
-- Errors: 'FENCED ...' as for a turn.
local last = redis.pcall('HGET', KEYS[1], 't')
if type(last) == 'table' then
  return redis.error_reply('FENCED the in-flight jobs of this shard were taken over')
end
if last == ARGV[1] .. '.5' then return 0 end
if last and tonumber(last) >= tonumber(ARGV[1]) then return 1 end
redis.call('HSET', KEYS[1], 't', ARGV[1] .. '.5')
return 0
