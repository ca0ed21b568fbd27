-- Move jobs that an operator has seen in a set to their queues, at once: as due.lua moves those that are due.
--
-- KEYS  1 set
-- ARGV  1 queue of a job that names none   2 what the key of a queue begins with   3.. eight for each job: five as in seen.lua,
--       its queue ('': what the payload says), '1' if other bytes are pushed in its place, these
-- Payloads are moved unchanged, byte for byte but for the time of their push, where they have one (renew.lua). A job whose queue's key is not a list, or that names a queue no worker may be
-- given, stays where it is.
-- In a cluster a job that names a queue other than the realm's stays where it is: -1.
--
-- Returns an array, two for each job: 1 moved, 0 no longer there, -1 not moved, -2 not moved because of
-- its queue's name; the key of its queue ('' if it is gone).
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000

local function requeue()
  local reply, kinds = {}, {}
  for first = 3, #ARGV, 8 do
    local done, key, job, score = 0, '', seen('zset', first)
    if job then
      local name = ARGV[first + 5]
      local is_servable = name == '' or serves(name)
      if name == '' then name, is_servable = queue_of(job, ARGV[1]) end
      -- What nobody could read is larger than any worker runs: it is buried from whatever queue.
      if not name then name, is_servable = ARGV[1], true end
      key = ARGV[2] .. name
      kinds[key] = kinds[key] or not is_servable and 'unservable' or kind_of_queue(key)
      done = -1
      if not is_servable then
        done = -2
      elseif kinds[key] == 'list' or kinds[key] == 'none' then
        -- Added before it is taken away, though nobody sees the moment between.
        push('LPUSH', key, {renewed(ARGV[first + 6] == '1' and ARGV[first + 7] or job, now)})
        remove(KEYS[1], score, job)
        done = 1
      end
    end
    reply[#reply + 1] = done
    reply[#reply + 1] = key
  end
  return reply
end
local reply, refusal = whole(requeue)
return reply or refusal
