-- The pace of due jobs, for due.lua; not a script on its own.
--
-- Of a queue with a pace no more than so many due jobs a second are moved. Jobs that are due together are put off, each to a
-- moment of its own in the same set: moments of a queue are a tick apart, of a tenth of a second or more, and each takes as
-- many jobs as the pace allows in a tick. A job whose time is such a moment has had its turn and is moved; a job that missed it,
-- because nobody looked for long, is put off once more, behind those that have moments already.
-- A hash has, by queue, the first moment with room, how many jobs have it, and at which pace: '<moment> <jobs> <jobs a second>'.
-- It is of use until that moment. Another pace begins anew: what is behind a slow one would keep to it for as long as that herd
-- takes. So does a moment that is further away than any of ours can be. Earlier versions stored no pace; theirs is taken as ours.

-- Where moments lie between whole seconds: where no job is that was planned for a whole second, or a part of it.
local PACE_OFFSET = 0.0377
local PACE_TICK = 0.1
-- Seconds after its moment in which a job is moved: an idle leader looks up to a poll interval late only if it cannot listen.
local PACE_LATE = 5
-- A moment is no further away than ten years, like that of any retry.
local PACE_AHEAD = 10 * 365 * 24 * 3600

-- By queue: jobs a second, seconds between moments, jobs that each takes; once it is known, the number of the first with room,
-- and how many jobs have it.
local paces = {}

local function set_pace(queue, per_second)
  local each = math.max(1, math.floor(per_second * PACE_TICK))
  paces[queue] = {per_second = per_second, each = each, tick = each / per_second}
end

-- What is known of a queue. Returns the key, if it is spoilt: then each look begins anew.
local function recall(pace, key, queue, now)
  pace.number, pace.used = 0, 0
  local text = redis.pcall('HGET', key, queue)
  if is_refused(text) then
    if not is_spoilt(text) then error(text) end
    return key
  end
  pace.stored = text
  local at, used, per_second = string.match(text or '', '^(%d+%.?%d*) (%d+) ?([%d.]*)$')
  at = tonumber(at)
  if at and at <= now + PACE_AHEAD and (per_second == '' or tonumber(per_second) == pace.per_second) then
    pace.number, pace.used = math.floor((at - PACE_OFFSET) / pace.tick + 0.5), tonumber(used)
  end
end

-- When a job with this score is to be moved, if not now; and the key of the paces, if it is spoilt.
local function moment_of(key, queue, score, now)
  local pace = paces[queue]
  if not pace then return end
  local number = (score - PACE_OFFSET) / pace.tick
  if math.abs(number - math.floor(number + 0.5)) < 0.001 and score > now - PACE_LATE then return end
  local spoilt
  if not pace.number then spoilt = recall(pace, key, queue, now) end
  local present = math.floor((now - PACE_OFFSET) / pace.tick)
  if pace.number < present then pace.number, pace.used = present, 0 end
  if pace.used >= pace.each then pace.number, pace.used = pace.number + 1, 0 end
  -- The last moment that is near enough takes all that is beyond it. It is a moment like others, so they go when it comes.
  pace.number = math.min(pace.number, math.floor((now + PACE_AHEAD - PACE_OFFSET) / pace.tick))
  pace.used, pace.has_changed = pace.used + 1, not spoilt and not pace.is_spoilt
  pace.is_spoilt = pace.is_spoilt or spoilt
  local at = pace.number * pace.tick + PACE_OFFSET
  if at > now then return at, spoilt end
  return nil, spoilt
end

-- Stores which moments are taken, for as long as any is of use, whichever queue has it.
local function keep_paces(key, now)
  local has_changed = false
  for queue, pace in pairs(paces) do
    if pace.has_changed then
      local at = pace.number * pace.tick + PACE_OFFSET
      redis.call('HSET', key, queue, string.format('%.17g %d %.17g', at, pace.used, pace.per_second))
      local stored = pace.stored
      undo[#undo + 1] = function()
        if stored then redis.pcall('HSET', key, queue, stored) else redis.pcall('HDEL', key, queue) end
      end
      pace.has_changed, has_changed = false, true
    end
  end
  if not has_changed then return end
  local last = now
  for queue, pace in pairs(paces) do
    if not pace.number then recall(pace, key, queue, now) end
    last = math.max(last, (pace.number + 1) * pace.tick + PACE_OFFSET)
  end
  redis.call('EXPIRE', key, math.ceil(last - now) + 60)
end
