-- Delete jobs that an operator has seen in a queue or in a set.
--
-- KEYS  1 queue list or set
-- ARGV  1 'list' or 'zset'   2.. for each job three: see seen.lua
-- In a queue each costs a walk from the newest entry to it. Of jobs with the same bytes the newest goes.
--
-- Returns an array, for each job 1, or 0 if it was no longer there.
local reply = {}
for first = 2, #ARGV, 3 do
  local job, done = seen(ARGV[1], first), 0
  if job and ARGV[1] == 'list' then
    done = redis.call('LREM', KEYS[1], 1, job)
  elseif job then
    done = redis.call('ZREM', KEYS[1], job)
  end
  reply[#reply + 1] = done
end
return reply
