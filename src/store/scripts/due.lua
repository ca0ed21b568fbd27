-- Move due jobs from the retry set and the scheduled set to their queues, settle who leads the pollers, and tell when the next
-- periodic job is due.
--
-- KEYS  1 lead of the pollers   2 retry set   3 scheduled set   4 ticks of periodic jobs   5 moments of queues that have a
--         pace (hash, see pace.lua), if any has
-- ARGV  1 most jobs to move from each set   2 queue of a job that names none   3 what the key of a queue begins with
--       4 most bytes of payload to move from each set, a single larger one excepted   5 seconds until a job that cannot
--       be moved is due again   6 jobs to read at once   7 uuid of the process   8 milliseconds the lead lasts
--       9 '1' if the process may be leading   10 largest payload that a worker runs
--       11 the set, 2 or 3, of which the caller has read a job that this could not; else 0   12 its size   13 its first bytes
--       14 its last bytes   15 its queue
--       16.. pairs (queue, jobs a second) of those that have a pace
-- Redis's own clock decides what is due. The payload is looked at, for its queue, and moved as it is, byte for byte but for the
-- time of its push, where it has one (renew.lua); one that
-- would hold Redis up is for the caller to read, and the set's jobs behind it wait for that. Each set has
-- its own share of a call, in jobs and in bytes, so that neither keeps the other waiting.
-- A job whose queue's key is not a list stays in its set and is due again later: it must not stand in the way of others. So
-- does one that names a queue no worker may be given, and the caller is told, who buries it; but one that is larger than may
-- be told goes to the default queue, whatever it names: no handler gets it, and the shard that finds it there buries it.
-- A connection that tracks keys learns of every change in either set from this call on: each set is read after the last
-- change made to it here.
-- A job enters its queue where new ones do, except for one that was left to workers that know its name: that has waited its turn
-- in the queue, and goes where the next one is taken.
-- Jobs of a queue that has a pace are put off to moments that keep it.
-- In a cluster the realm is that of one queue: a job that names another is put off like one whose queue is not a list.
--
-- Returns an array: jobs moved, '1' if a set has more that are due, milliseconds until the next job is due (-1: none),
-- jobs put off, the key of a queue that is not a list or of a set that is not a set ('': neither), 1 if the process leads, the set of
-- which the caller is to read the first job (0: none), the score of the first tick ('': none), the milliseconds until then; and
-- for each job that is to be buried three: the number of its set among
-- the keys, the name of its queue, the job.
local limit, page = tonumber(ARGV[1]), tonumber(ARGV[6])
local moved, more, next_ms, held, broken, leads, unread = 0, '0', -1, 0, '', 0, 0
local tick, tick_ms = '', 0
-- What is to be buried, as it is told.
local doomed = {}

-- A key that is not a string has no leader: then all look, no more often than the poll interval.
local function leader()
  local uuid = redis.pcall('GET', KEYS[1])
  if is_refused(uuid) and not is_spoilt(uuid) then error(uuid) end
  return uuid
end

-- EXISTS counts a key each time it is named: one question shows whether there are ticks, whether someone leads and how many
-- sets have jobs.
local ticks = KEYS[4]
local there = redis.call('EXISTS', KEYS[1], KEYS[1], KEYS[1], KEYS[2], KEYS[3], ticks, ticks, ticks, ticks, ticks, ticks)
local has_ticks = there > 5
there = there % 6
if there < 3 then
  redis.call('SET', KEYS[1], ARGV[7], 'PX', ARGV[8])
  leads = 1
elseif ARGV[9] == '1' and leader() == ARGV[7] then
  redis.call('PEXPIRE', KEYS[1], ARGV[8])
  leads = 1
end
if there % 3 == 0 and not has_ticks then
  return {moved, more, next_ms, held, broken, leads, unread, tick, tick_ms}
end

local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local moments = KEYS[5]
for i = 16, #ARGV, 2 do set_pace(ARGV[i], tonumber(ARGV[i + 1])) end

-- The name of a job's queue, whether a worker may be given it, and what it took to tell; nil if the caller is to read the job.
local function name_of(number, job)
  if ARGV[11] == tostring(number) and is_same(job, tonumber(ARGV[12]), ARGV[13], ARGV[14]) then
    return ARGV[15], serves(ARGV[15]), 0
  end
  local name, is_servable, took = queue_of(job, ARGV[2])
  -- A worker of whatever queue buries what is too large.
  if not name and #job > tonumber(ARGV[10]) then return ARGV[2], true, took end
  return name, is_servable, took
end

-- Entries of a set and their scores; none if its key is not a set: that does not concern the other set.
local function read(set, first, last)
  local entries = redis.pcall('ZRANGE', set, first, last, 'WITHSCORES')
  if not is_refused(entries) then return entries end
  if not is_spoilt(entries) then error(entries) end
  broken = set
  return {}
end

-- The end of its queue at which a job goes in: 'R' if it was left to workers that know its name and nobody has planned another
-- time for it since.
local function end_for(job)
  local till = string.match(string.sub(job, -64), ',"left_until":([%d.e+-]+)}%s*$')
  return till and string.find(job, '"retry_at":' .. till .. ',', 1, true) and 'R' or 'L'
end

-- The first due jobs of the set of this number by the end and the key of their queue, and these in the order in which they came
-- up; and when the next one is due, which no further look at it tells: it may be large. The first is read alone and then as many as
-- those were small: how large payloads are is known only once they are here. In between, of each job that is put
-- off, its moment, its score and itself.
local function take(number)
  local set = KEYS[number]
  local queues, order, paced, count, budget, ahead = {}, {}, {}, 0, tonumber(ARGV[4]), 1
  while count < limit and budget > 0 do
    ahead = math.min(ahead, page, limit - count)
    local entries = read(set, count, count + ahead - 1)
    for i = 1, #entries, 2 do
      local job, score = entries[i], tonumber(entries[i + 1])
      if score > now then return queues, order, paced, score end
      if #job > budget and count > 0 then return queues, order, paced, now end
      local name, is_servable, took = name_of(number, job)
      if not name then
        -- In turns, if both sets have one.
        if unread == 0 or ARGV[11] == tostring(unread) then unread = number end
        return queues, order, paced, now
      end
      budget = budget - #job - took
      count = count + 1
      if not is_servable and #job <= tonumber(ARGV[10]) then
        for _, element in ipairs({number, name, job}) do doomed[#doomed + 1] = element end
      else
        local queue = is_servable and name or ARGV[2]
        local at, spoilt = moment_of(moments, queue, score, now)
        broken = spoilt or broken
        -- What was left lies in a set of its own, where there is one.
        local place = (LATER and set ~= LATER and 'L' or end_for(job)) .. ARGV[3] .. queue
        if at then
          place = nil
          for _, element in ipairs({at, score, job}) do paced[#paced + 1] = element end
        end
        if place and not queues[place] then
          queues[place] = {}
          order[#order + 1] = place
        end
        local list = queues[place]
        if list then list[#list + 1] = job end
      end
    end
    if #entries < 2 * ahead then return queues, order, paced, nil end
    local used = tonumber(ARGV[4]) - budget
    ahead = math.max(1, math.min(4 * ahead, math.floor(budget * count / (used + 1))))
  end
  return queues, order, paced, now
end

-- Puts a job off to its moment.
local function put_off(set, at, score, job)
  redis.call('ZADD', set, 'XX', at, job)
  undo[#undo + 1] = function() redis.pcall('ZADD', set, 'XX', score, job) end
end

-- Moves what is due of a set. When the next one is due; or nil, and the refusal.
local function move(number)
  local set, told = KEYS[number], #doomed
  local queues, order, paced, next = take(number)
  local done, refusal = whole(function()
    keep_paces(moments, now)
    for i = 1, #paced, 3 do put_off(set, paced[i], paced[i + 1], paced[i + 2]) end
    for i = told + 3, #doomed, 3 do
      redis.call('ZADD', set, 'XX', now + ARGV[5], doomed[i])
      next = math.min(next or math.huge, now + ARGV[5])
    end
    for _, place in ipairs(order) do
      local key, jobs = string.sub(place, 2), queues[place]
      local kind = kind_of_queue(key)
      if kind == 'list' or kind == 'none' then
        -- Added before they are removed, though nobody sees the moment between. What has gone stays gone, whatever becomes of
        -- the others.
        local gone, refusal = whole(function()
          local pushed = {}
          for at, job in ipairs(jobs) do pushed[at] = renewed(job, now) end
          push(string.sub(place, 1, 1) == 'R' and 'RPUSH' or 'LPUSH', key, pushed)
          return redis.call('ZREM', set, unpack(jobs))
        end)
        if not gone then error(refusal) end
        moved = moved + #jobs
      else
        for _, job in ipairs(jobs) do redis.call('ZADD', set, 'XX', now + ARGV[5], job) end
        held, broken = held + #jobs, key
        next = math.min(next or math.huge, now + ARGV[5])
      end
    end
    return true
  end)
  if not done then return nil, refusal end
  for i = 1, #paced, 3 do next = math.min(next or math.huge, paced[i]) end
  -- Read after the last change: from this read on a connection that tracks keys learns of changes.
  if #order > 0 or #paced > 0 or #doomed > told then redis.call('ZCARD', set) end
  return next
end

for i = 2, 3 do
  local next, refusal = move(i)
  if refusal then return refusal end
  if next then
    local ms = math.ceil((next - now) * 1000)
    if ms <= 0 then
      more = '1'
    elseif next_ms < 0 or ms < next_ms then
      next_ms = ms
    end
  end
end
if has_ticks then
  local first = read(ticks, 0, 0)
  if first[2] then
    tick, tick_ms = first[2], math.ceil(tonumber(first[2]) - now * 1000)
  end
end
local reply = {moved, more, next_ms, held, broken, leads, unread, tick, tick_ms}
for _, element in ipairs(doomed) do reply[#reply + 1] = element end
return reply
