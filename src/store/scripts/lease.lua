-- Renew the lease of a process by Redis's own clock, and name those whose lease is over.
--
-- KEYS  1 lease set   2 an in-flight index of the process: the string 'fenced' if its jobs were taken over
-- ARGV  1 member: uuid, shards and queues of the process   2 length of the lease in milliseconds   3 most names wanted
-- Returns an array: the end of the lease in Unix milliseconds, then the members whose lease has ended, longest first. The end
-- is -1 if a reaper has fenced the process: it holds nothing any more, and a lease would only make others reap it again.
-- A shard that ended in order leaves another text there, and the others may still run jobs.
if redis.pcall('GET', KEYS[2]) == 'fenced' then return {-1} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = now + tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], string.format('%d', ends), ARGV[1])
local reply = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('(%d', now), 'LIMIT', 0, ARGV[3])
table.insert(reply, 1, ends)
return reply
