-- Put the in-flight jobs of one shard of a dead process back into their queues, and fence the shard.
--
-- KEYS  1 lease set   2.. for each queue of the process, the first one first: queue list, in-flight index, wait list,
--       oversize list
-- ARGV  1 member of the process in the lease set   2 seconds the fence stays
-- Batch lists are found through the index. The fence is a string where the shard expects a hash or a list: whatever it
-- still tries, a turn or a blocking move, fails on it before anything has changed.
-- Jobs go to the right end of their queue in their old order, the oldest to be taken next.
--
-- Returns the number of jobs put back; -1 if the process lives (its lease was renewed); -2 if its lease is gone (another
-- reaper was here, or the process ended in order).
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends then return -2 end
local time = redis.call('TIME')
if tonumber(ends) >= time[1] * 1000 + math.floor(time[2] / 1000) then return -1 end

local count = 0
for first = 2, #KEYS, 4 do
  local queue, index, wait_list, oversize = KEYS[first], KEYS[first + 1], KEYS[first + 2], KEYS[first + 3]
  local lists = {}
  if redis.call('TYPE', index).ok == 'hash' then
    local batches = {}
    for _, name in ipairs(redis.call('HKEYS', index)) do
      if tonumber(name) then batches[#batches + 1] = tonumber(name) end
    end
    table.sort(batches)
    for i, number in ipairs(batches) do lists[i] = string.format('%s:%d', index, number) end
  end
  for _, list in ipairs({oversize, wait_list}) do
    if redis.call('TYPE', list).ok == 'list' then lists[#lists + 1] = list end
  end
  for i = #lists, 1, -1 do
    local jobs = redis.call('LRANGE', lists[i], 0, -1)
    for j = #jobs, 1, -1 do redis.call('RPUSH', queue, jobs[j]) end
    redis.call('UNLINK', lists[i])
    count = count + #jobs
  end
  redis.call('SET', index, 'fenced', 'EX', ARGV[2])
  redis.call('SET', wait_list, 'fenced', 'EX', ARGV[2])
end
return count
