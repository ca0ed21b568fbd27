-- The end of a shard that has nothing in flight any more: what lies in lists that no batch stands for goes back to its queue,
-- and its keys go. If it ever gave up a connection it is fenced instead, like a dead one: a turn or a blocking move that is
-- still under way there would take jobs into a place where nobody looks, for the lease of its process goes with it.
--
-- KEYS  1 home index of the shard   2.. for each of its queues: queue list, in-flight index, wait list, oversize list
-- ARGV  1 number of the call, of the same series as those of turns   2 seconds the fence stays; 0: none
--
-- Returns the number of jobs handed back.
-- Errors: 'FENCED ...', 'STALE ...' as for a turn.   'LEFT ...' this has run already
--         'WRONGTYPE ...' jobs are to go back to a queue whose key is no list: nothing was changed, a reaper will see to it.
local marks = redis.pcall('HMGET', KEYS[1], 't', 'b')
if marks.err then
  -- Only another type is a fence: see turn.lua.
  if string.sub(marks.err, 1, 9) ~= 'WRONGTYPE' then return marks end
  if redis.pcall('GET', KEYS[1]) == 'left' then return redis.error_reply('LEFT this shard has ended itself') end
  return redis.error_reply('FENCED the in-flight jobs of this shard were taken over')
end
local last = math.max(tonumber(marks[1] or 0), tonumber(marks[2] or 0))
if last >= tonumber(ARGV[1]) then
  return redis.error_reply('STALE call ' .. ARGV[1] .. ' comes after ' .. last)
end

local lists = {}
for first = 2, #KEYS, 4 do
  lists[first] = in_flight(first)
  if #lists[first] > 0 and not takes_jobs(KEYS[first]) then
    return redis.error_reply('WRONGTYPE ' .. KEYS[first] .. ' is no list, so jobs cannot be handed back to it')
  end
end
-- A field that is never there: see turn.lua.
redis.call('HDEL', KEYS[1], '-')
local count = 0
for first = 2, #KEYS, 4 do
  for i = #lists[first], 1, -1 do
    local jobs = redis.call('LRANGE', lists[first][i], 0, -1)
    put_back(KEYS[first], jobs)
    redis.call('UNLINK', lists[first][i])
    count = count + #jobs
  end
  if ARGV[2] == '0' then
    redis.call('UNLINK', KEYS[first + 1])
  else
    fence(first, 'left', ARGV[2])
  end
end
return count
