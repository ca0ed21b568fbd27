-- Take the in-flight jobs of one shard of a dead process away, and fence the shard.
--
-- KEYS  1 lease set   2.. for each queue of the process, the first one first: queue list, in-flight index, wait list,
--       oversize list
-- ARGV  1 member of the process in the lease set   2 seconds the fence stays   3 recoveries after which a job is a suspect
--       4 most recoveries of a job   5 seconds they are remembered
--
-- Each job's recoveries are counted under '{<queue list>}:recoveries:<jid>' (a hash: 'n', and 'of', the process that died last
-- with it, so that one death counts once). A payload without a usable jid counts under its SHA-1.
-- A job goes to the right end of its queue, in the old order, the oldest to be taken next; a suspect to the list
-- '<index>:s', from where free.lua lets them go one by one; one that was recovered as often as may be to '<index>:p'.
-- Oversize payloads did not run: they just go back.
-- A queue whose key is no list keeps its jobs in flight, unfenced, until somebody has mended the key.
--
-- Returns -1 if the process lives (its lease was renewed); -2 if its lease is gone (another reaper was here, or the process
-- ended in order); else an array: jobs put back, suspects and poison that lie there now, the key of a queue that is no list
-- ('': none).
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends then return -2 end
local time = redis.call('TIME')
if tonumber(ends) >= time[1] * 1000 + math.floor(time[2] / 1000) then return -1 end
-- A member that is never there: see turn.lua.
redis.call('ZREM', KEYS[1], '')

local suspect_after, most = tonumber(ARGV[3]), tonumber(ARGV[4])

local function recoveries(queue, job)
  local key = recoveries_key(queue, job)
  local count = tonumber(redis.call('HGET', key, 'n') or 0)
  if redis.call('HGET', key, 'of') ~= ARGV[1] then
    count = count + 1
    redis.call('HSET', key, 'n', count, 'of', ARGV[1])
    redis.call('EXPIRE', key, ARGV[5])
  end
  return count
end

local back, suspects, poison, broken = 0, 0, 0, ''
for first = 2, #KEYS, 4 do
  local queue, index = KEYS[first], KEYS[first + 1]
  local lists = in_flight(first)
  if #lists > 0 and not takes_jobs(queue) then
    broken = queue
  else
    for i = #lists, 1, -1 do
      local jobs = redis.call('LRANGE', lists[i], 0, -1)
      local innocent = {}
      for _, job in ipairs(jobs) do
        local count = lists[i] == KEYS[first + 3] and 0 or recoveries(queue, job)
        if count > most then
          redis.call('RPUSH', index .. ':p', job)
        elseif count > suspect_after then
          redis.call('RPUSH', index .. ':s', job)
        else
          innocent[#innocent + 1] = job
        end
      end
      put_back(queue, innocent)
      redis.call('UNLINK', lists[i])
      back = back + #innocent
    end
    fence(first, 'fenced', ARGV[2])
  end
  suspects = suspects + redis.call('LLEN', index .. ':s')
  poison = poison + redis.call('LLEN', index .. ':p')
end
return {back, suspects, poison, broken}
