-- Put jobs that a dead Ruby server had in progress back into their queue.
--
-- KEYS  1 list in progress   2 queue list
-- ARGV  1 most jobs to move   2 bytes of payload after which no further job is moved
-- The server put what it took at the left of its list, so the newest job is leftmost; a queue's next job is rightmost.
-- Moved from left to right, newest first, the jobs end up in their old order, the oldest to be taken next.
-- (The gem's requeuer moves from the right, which reverses their order.)
--
-- Returns an array: jobs moved, jobs left in the list. In place of the first, -1 if the list's key, -2 if the queue's key
-- does not hold a list: then nothing was touched.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return {0, 0} end
if kind ~= 'list' then return {-1, 0} end
local queue = redis.call('TYPE', KEYS[2]).ok
if queue ~= 'list' and queue ~= 'none' then return {-2, 0} end

local moved, bytes = 0, 0
while moved < tonumber(ARGV[1]) and bytes < tonumber(ARGV[2]) do
  -- Each move is one step, and calling this again continues from here.
  local job = redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')
  if not job then break end
  moved = moved + 1
  bytes = bytes + #job
end
return {moved, redis.call('LLEN', KEYS[1])}
