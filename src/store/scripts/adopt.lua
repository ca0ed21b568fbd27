-- Give a process whose jobs are in flight, and which no lease names, a lease that ended long ago: the next renewal of any
-- process names it, and a reaper does the rest. A fail-over to a replica that lagged may have lost the lease.
--
-- KEYS  1 lease set   2 a list of the process's jobs in flight
-- ARGV  1 member for the lease set: uuid, shards and queues, as far as the keys reveal them
-- The lease set is read whole: a few hundred members at most, and only for a process that was missing twice.
--
-- Returns 1; 0 if nothing is in flight there (any longer), or the process has a lease, ended or not.
if redis.call('TYPE', KEYS[2]).ok ~= 'list' then return 0 end
local uuid = string.match(ARGV[1], '^[^:]*:')
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(member, 1, #uuid) == uuid then return 0 end
end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return 1
