-- Who leads: one process of a fleet looks after the lists of dead Ruby servers. It is the first by name of those with a
-- lease, so that the lead needs no key: the more keys there are, the more the gem misreads a database.
--
-- KEYS  1 lease set
-- ARGV  1 uuid of the process that asks   2 longest that a lease can last from now on, in milliseconds: one that lasts longer
--       was not renewed by this clock, and may be of a process that is long gone
-- The living members are read whole: a few hundred at most, and a few calls a minute in a whole fleet.
-- Returns 1 if it leads, 0 if another does, or if it has no lease.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from, to = string.format('%d', now), string.format('%d', now + ARGV[2])
local first
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], from, to)) do
  local uuid = string.match(member, '^([^:]+):')
  if uuid and (not first or uuid < first) then first = uuid end
end
return first == ARGV[1] and 1 or 0
