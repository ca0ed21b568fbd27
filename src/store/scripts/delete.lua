-- Delete jobs that an operator has seen in a queue or in a set.
--
-- KEYS  1 queue list or set
-- ARGV  1 'list' or 'zset'   2.. five for each job: see seen.lua
-- In a queue each costs a walk from the newest entry to it. Of several jobs with the same bytes the newest is deleted.
--
-- Returns an array, for each job 1, or 0 if it was no longer there; -1 if it was refused although an earlier one was not.
local reply = {}
for first = 2, #ARGV, 5 do
  local job, done = seen(ARGV[1], first), 0
  if job then
    if ARGV[1] == 'list' then
      done = redis.pcall('LREM', KEYS[1], 1, job)
    else
      done = redis.pcall('ZREM', KEYS[1], job)
    end
    -- What is deleted cannot come back, so it is reported even if the next one is refused.
    if is_refused(done) then
      if #reply == 0 then return done end
      done = -1
    end
  end
  reply[#reply + 1] = done
end
return reply
