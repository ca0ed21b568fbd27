-- The end of a shard that has nothing left in flight: what is in lists without a batch goes back to its queue, and its keys
-- are removed. If the shard ever gave up a connection it is fenced instead, like a dead one: a turn or a blocking move
-- still under way there would take jobs to a place where nobody looks, because the lease of its process goes too.
--
-- KEYS  1 home index of the shard   2.. for each of its queues: queue list, in-flight index, wait list, oversize list
-- ARGV  1 number of the call, from the same series as those of turns   2 seconds the fence stays; 0: no fence
--       3 most bytes of payload to hand back, a single larger one excepted
--
-- Returns the number of jobs handed back; below 0, if some are left for the next call: then the shard has not ended yet.
-- Errors: 'FENCED ...', 'STALE ...' as for a turn.   'LEFT ...' this has already run
--         'HELD ...' jobs are to go back to a queue whose key is not a list: they stay in flight, for a reaper to handle.
--         All others are back, and nothing is fenced.
local marks = redis.pcall('HMGET', KEYS[1], 't', 'b')
if marks.err then
  -- Only another type is a fence: see turn.lua.
  if string.sub(marks.err, 1, 9) ~= 'WRONGTYPE' then return marks end
  if redis.pcall('GET', KEYS[1]) == 'left' then return redis.error_reply('LEFT this shard has already ended') end
  return redis.error_reply('FENCED the in-flight jobs of this shard were taken over')
end
local last = math.max(tonumber(marks[1] or 0), tonumber(marks[2] or 0))
if last >= tonumber(ARGV[1]) then
  return redis.error_reply('STALE call ' .. ARGV[1] .. ' comes after ' .. last)
end

-- A field that never exists: see turn.lua.
redis.call('HDEL', KEYS[1], '-')

-- One list after the other: each is in its queue or where it was.
local count, broken, budget = 0, nil, tonumber(ARGV[3])
for first = 2, #KEYS, 4 do
  local lists = in_flight(first)
  if #lists > 0 and not takes_jobs(KEYS[first]) then
    broken = KEYS[first]
  else
    for i = #lists, 1, -1 do
      if budget <= 0 then return -count end
      local are_all, refusal = whole(function()
        local jobs, are_all = newest(lists[i], 500, budget)
        push('RPUSH', KEYS[first], jobs)
        remove_newest(lists[i], jobs, are_all)
        for _, job in ipairs(jobs) do budget = budget - #job end
        count = count + #jobs
        return are_all
      end)
      if refusal then return refusal end
      if not are_all then return -count end
    end
  end
end
if broken then
  return redis.error_reply('HELD ' .. broken .. ' is not a list, so jobs cannot be handed back to it')
end
-- The first queue's is the last: once it is gone, this has run.
for first = #KEYS - 3, 2, -4 do
  if ARGV[2] == '0' then
    drop(KEYS[first + 1])
  else
    fence(first, 'left', ARGV[2])
  end
end
return count
