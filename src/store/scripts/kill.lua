-- Move jobs that an operator has seen in the retry set or the scheduled set to the dead set, and trim the dead set.
--
-- KEYS  1 set   2 dead set
-- ARGV  1 seconds a dead entry is kept   2 dead set size   3.. six for each job: five as in seen.lua, and the dead entry it
--       becomes ('': its own bytes)
-- Their time of death is now, by Redis's own clock.
--
-- Returns an array: entries that were trimmed, then for each job 1, or 0 if it was no longer there.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local function kill()
  local reply = {0}
  for first = 3, #ARGV, 6 do
    local done, job, score = 0, seen('zset', first)
    if job then
      -- Added before it is removed, though nobody sees the moment between.
      local entry = ARGV[first + 5] == '' and job or ARGV[first + 5]
      add(KEYS[2], string.format('%.6f', now), entry)
      remove(KEYS[1], score, job)
      done = 1
    end
    reply[#reply + 1] = done
  end
  reply[1] = redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. string.format('%.6f', now - ARGV[1]))
    + redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -(tonumber(ARGV[2]) + 1))
  return reply
end
local reply, refusal = whole(kill)
return reply or refusal
