-- Renew the lease of a process by Redis's own clock.
--
-- KEYS  1 lease set
-- ARGV  1 member: uuid, shards and queues of the process   2 length of the lease in milliseconds
-- Returns the end of the lease, Unix milliseconds.
local now = redis.call('TIME')
local ends = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], string.format('%d', ends), ARGV[1])
return ends
