-- Give up the lead of the pollers, so that another process takes it at its next look.
--
-- KEYS  1 lead of the pollers
-- ARGV  1 uuid of the process
-- Returns 1, or 0 if the process does not lead.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1
