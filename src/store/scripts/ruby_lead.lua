-- Who leads: one process of a fleet looks after the lists of dead Ruby servers. It is the first by name of those with a lease,
-- so that no key of its own stands for it: the gem misreads a database the more, the more keys there are.
--
-- KEYS  1 lease set
-- ARGV  1 uuid of the process that asks   2 longest that a lease can last from now on, in milliseconds: one that lasts longer
--       was not renewed by this clock, and may be of a process that is long gone
-- The living members are read whole: some hundreds at most, and some calls a minute in a whole fleet.
-- Returns 1 if it leads, 0 if another does, or it has no lease.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from, to = string.format('%d', now), string.format('%d', now + ARGV[2])
local first
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], from, to)) do
  local uuid = string.match(member, '^([^:]+):')
  if uuid and (not first or uuid < first) then first = uuid end
end
return first == ARGV[1] and 1 or 0
