-- Take the lead, or keep it: one process of a fleet looks after the lists of dead Ruby servers.
--
-- KEYS  1 who leads
-- ARGV  1 uuid of the process that asks   2 how long it then leads, in milliseconds
-- Returns 1 if it leads, 0 if another does.
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
