-- Put suspects of a dead shard back into their queue, unless one that was put back before still waits there to be taken: where
-- nobody takes them they would gather, and run side by side again when somebody comes.
--
-- KEYS  1 queue list   2 suspects list ('<index>:s')
-- ARGV  1 how many   2 recoveries after which a job is a suspect
-- They go to the right end of the queue: they are taken next.
-- Returns how many were put back: fewer than wanted if there are no more; -1 if one waits.
local next = redis.call('LINDEX', KEYS[1], -1)
if next and tonumber(redis.call('HGET', recoveries_key(KEYS[1], next), 'n') or 0) > tonumber(ARGV[2]) then return -1 end
local count = 0
while count < tonumber(ARGV[1]) and redis.call('LMOVE', KEYS[2], KEYS[1], 'LEFT', 'RIGHT') do count = count + 1 end
return count
