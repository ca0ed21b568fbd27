-- Take away the in-flight jobs of one shard of a dead process, and fence the shard.
--
-- KEYS  1 lease set   2.. for each queue of the process, the first one first: queue list, in-flight index, wait list,
--       oversize list
-- ARGV  1 member of the process in the lease set   2 seconds the fence stays   3 recoveries after which a job is a suspect
--       4 most recoveries of a job   5 seconds they are remembered   6 most jobs to take   7 most bytes of payload to take, a
--       single larger one excepted
--
-- Each job's recoveries are counted under '{<queue list>}:recoveries:<jid>' (a hash: 'n', and 'of', the process that last
-- died with it, so that one death counts once). A payload without a usable jid counts under its SHA-1.
-- A job goes to the right end of its queue, in the old order, the oldest to be taken next; a suspect to the list
-- '<index>:s', from which free.lua frees them one by one; one that has used up its recoveries to '<index>:p'.
-- Oversize payloads did not run: they just go back.
-- Jobs that are left after so many are for the next call, by any reaper. The shard is fenced before the first is taken
-- (in_flight.lua), so that it continues none of those that others may have by now.
-- A queue whose key is not a list keeps its jobs in flight until someone has fixed the key; so does one whose suspects or
-- poison key is not a list.
--
-- Returns -1 if the process lives (its lease was renewed); -2 if its lease is gone (another reaper was here, or the process
-- ended in order); else an array: jobs put back, suspects and poison that are there now, a key that is spoilt:
-- a queue, suspects or poison that is not a list, recoveries that cannot be counted ('': none); 1 if jobs are left, and then
-- suspects and poison are not counted.
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends then return -2 end
local time = redis.call('TIME')
if tonumber(ends) >= time[1] * 1000 + math.floor(time[2] / 1000) then return -1 end
-- A member that never exists: see turn.lua.
redis.call('ZREM', KEYS[1], '')

local suspect_after, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local back, suspects, poison, broken = 0, 0, 0, ''

-- Counted once per death, so that this can be repeated. A spoilt count is ignored: the job goes back as at its first.
local function recoveries(queue, job)
  local key = recoveries_key(queue, job)
  local known = redis.pcall('HMGET', key, 'n', 'of')
  if is_refused(known) then
    if not is_spoilt(known) then error(known) end
    broken = key
    return 1
  end
  local count = tonumber(known[1] or 0) or 0
  if known[2] ~= ARGV[1] then
    count = count + 1
    redis.call('HSET', key, 'n', count, 'of', ARGV[1])
  end
  redis.call('EXPIRE', key, ARGV[5])
  return count
end

-- Jobs of one list: they are where they belong, or where they were. Whether none is left.
local list, first
local jobs_left, bytes_left = tonumber(ARGV[6]), tonumber(ARGV[7])
local function take()
  local queue, index = KEYS[first], KEYS[first + 1]
  local innocent, suspicious, poisonous = {}, {}, {}
  local jobs, are_all = newest(list, jobs_left, bytes_left)
  for _, job in ipairs(jobs) do
    local count = list == KEYS[first + 3] and 0 or recoveries(queue, job)
    local kind = count > most and poisonous or count > suspect_after and suspicious or innocent
    kind[#kind + 1] = job
    jobs_left, bytes_left = jobs_left - 1, bytes_left - #job
  end
  -- Each the newest first, so that the oldest is the next to be buried, let go or run.
  push('LPUSH', index .. POISON, poisonous)
  push('LPUSH', index .. SUSPECTS, suspicious)
  push('RPUSH', queue, innocent)
  remove_newest(list, jobs, are_all)
  back = back + #innocent
  return are_all
end

-- How many jobs are in a list, if it is one.
local function length(key)
  if takes_jobs(key) then return redis.call('LLEN', key) end
  broken = key
  return 0
end

for at = 2, #KEYS, 4 do
  first = at
  local queue, index = KEYS[first], KEYS[first + 1]
  local lists = in_flight(first)
  if #lists > 0 and not takes_jobs(queue) then
    broken = queue
  elseif takes_jobs(index .. SUSPECTS) and takes_jobs(index .. POISON) then
    if #lists > 0 then
      -- The first queue's is what the shard asks, whatever the queue.
      begin_fence(2)
      begin_fence(first)
    end
    local is_closed = false
    for i = #lists, 1, -1 do
      local are_all, refusal = false, nil
      list = lists[i]
      if not is_closed and list ~= KEYS[first + 2] then
        -- The wait list comes first. Now that it is empty no blocking move brings anything there any more.
        redis.call('SET', KEYS[first + 2], 'fenced', 'EX', ARGV[2])
        is_closed = true
      end
      if jobs_left > 0 and bytes_left > 0 then are_all, refusal = whole(take) end
      if refusal then return refusal end
      if not are_all then return {back, 0, 0, broken, 1} end
    end
    fence(first, 'fenced', ARGV[2])
  end
  suspects, poison = suspects + length(index .. SUSPECTS), poison + length(index .. POISON)
end
return {back, suspects, poison, broken, 0}
