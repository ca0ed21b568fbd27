-- Forget a dead process whose shards were all reaped.
--
-- KEYS  1 lease set   2 figures of the process   3 its heartbeat; the figures again where it is not known
--       4 the registry of processes, where there is one: it has the key of the heartbeat
-- ARGV  1 member of the process in the lease set
-- Returns 1, or 0 if the process lives after all or is already forgotten.
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends then return 0 end
local time = redis.call('TIME')
if tonumber(ends) >= time[1] * 1000 + math.floor(time[2] / 1000) then return 0 end
-- The lease last: while it is there this can be repeated.
redis.call('UNLINK', KEYS[2], KEYS[3])
if KEYS[4] then redis.pcall('SREM', KEYS[4], KEYS[3]) end
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
