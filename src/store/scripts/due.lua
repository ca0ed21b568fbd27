-- Move due jobs from the retry set and the scheduled set to their queues, and settle who leads the pollers.
--
-- KEYS  1 lead of the pollers   2 retry set   3 scheduled set
-- ARGV  1 most jobs to move from each set   2 queue of a job that names none   3 what the key of a queue begins with
--       4 most bytes of payload to move from each set, a single larger one excepted   5 seconds until a job that cannot
--       be moved is due again   6 jobs to read at once   7 uuid of the process   8 milliseconds the lead lasts
--       9 '1' if the process may be leading   10 size up to which a job that no worker may be given is returned
-- Redis's own clock decides what is due. The payload is read, for its queue, and moved unchanged, byte for byte. Each set
-- has its own share of a call, in jobs and in bytes, so that neither keeps the other waiting.
-- A job whose queue's key is not a list stays in its set and is due again later: it must not stand in the way of others. So
-- does one that names a queue no worker may be given, which is returned to the caller, who buries it; one that is too large
-- to be returned goes to the default queue, whatever it names: no handler gets it, and the shard that finds it buries it.
-- A connection that tracks keys learns of every change in either set from this call on: each set is read after the last
-- change made to it here.
-- In a cluster the realm is that of one queue: a job that names another is put off like one whose queue is not a list.
--
-- Returns an array: jobs moved, '1' if a set has more that are due, milliseconds until the next job is due (-1: none), jobs
-- put off, the key of a queue that is not a list or of a set that is not a set ('': none), 1 if the process leads; and three
-- for each job to bury: the number of its set among the keys, the name of its queue, the job.
local limit, page = tonumber(ARGV[1]), tonumber(ARGV[6])
local moved, more, next_ms, held, broken, leads = 0, '0', -1, 0, '', 0
-- What is to be buried, as it is told.
local doomed = {}

-- A key that is not a string has no leader: then all look, no more often than the poll interval.
local function leader()
  local uuid = redis.pcall('GET', KEYS[1])
  if is_refused(uuid) and not is_spoilt(uuid) then error(uuid) end
  return uuid
end

-- EXISTS counts a key each time it is named: one question shows whether someone leads and how many sets have jobs.
local there = redis.call('EXISTS', KEYS[1], KEYS[1], KEYS[1], KEYS[2], KEYS[3])
if there < 3 then
  redis.call('SET', KEYS[1], ARGV[7], 'PX', ARGV[8])
  leads = 1
elseif ARGV[9] == '1' and leader() == ARGV[7] then
  redis.call('PEXPIRE', KEYS[1], ARGV[8])
  leads = 1
end
if there % 3 == 0 then return {moved, more, next_ms, held, broken, leads} end

local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000

-- The first due jobs of a set by the key of their queue, and these keys in the order in which they came up. The first is
-- read alone, then as many as those read were small: how large payloads are is known only once they are here.
local function take(number)
  local set = KEYS[number]
  local queues, order, count, budget, ahead = {}, {}, 0, tonumber(ARGV[4]), 1
  while count < limit and budget > 0 do
    ahead = math.min(ahead, page, limit - count)
    local entries = redis.call('ZRANGE', set, count, count + ahead - 1, 'WITHSCORES')
    for i = 1, #entries, 2 do
      local job = entries[i]
      if tonumber(entries[i + 1]) > now or (#job > budget and count > 0) then return queues, order end
      budget = budget - #job
      count = count + 1
      local name, is_servable = queue_of(job, ARGV[2])
      if not is_servable and #job <= tonumber(ARGV[10]) then
        for _, element in ipairs({number, name, job}) do doomed[#doomed + 1] = element end
      else
        local key = ARGV[3] .. (is_servable and name or ARGV[2])
        if not queues[key] then
          queues[key] = {}
          order[#order + 1] = key
        end
        local list = queues[key]
        list[#list + 1] = job
      end
    end
    if #entries < 2 * ahead then break end
    local used = tonumber(ARGV[4]) - budget
    ahead = math.max(1, math.min(4 * ahead, math.floor(budget * count / (used + 1))))
  end
  return queues, order
end

local function move(number)
  local set, told = KEYS[number], #doomed
  local queues, order = take(number)
  for i = told + 3, #doomed, 3 do redis.call('ZADD', set, 'XX', now + ARGV[5], doomed[i]) end
  for _, key in ipairs(order) do
    local kind = kind_of_queue(key)
    if kind == 'list' or kind == 'none' then
      -- Added before they are removed, though nobody sees the moment between.
      local gone, refusal = whole(function()
        push('LPUSH', key, queues[key])
        return redis.call('ZREM', set, unpack(queues[key]))
      end)
      if not gone then return refusal end
      moved = moved + #queues[key]
    else
      for _, job in ipairs(queues[key]) do redis.call('ZADD', set, 'XX', now + ARGV[5], job) end
      held, broken = held + #queues[key], key
    end
  end
end

-- The first entry of a set and its score; none if its key is not a set: that does not concern the other set.
local function first_of(set)
  local head = redis.pcall('ZRANGE', set, 0, 0, 'WITHSCORES')
  if not is_refused(head) then return head end
  if not is_spoilt(head) then error(head) end
  broken = set
  return {}
end

for i = 2, 3 do
  local head = first_of(KEYS[i])
  if head[2] and tonumber(head[2]) <= now then
    local refusal = move(i)
    if refusal then return refusal end
    head = first_of(KEYS[i])
  end
  if head[2] then
    local ms = math.ceil((tonumber(head[2]) - now) * 1000)
    if ms <= 0 then
      more = '1'
    elseif next_ms < 0 or ms < next_ms then
      next_ms = ms
    end
  end
end
local reply = {moved, more, next_ms, held, broken, leads}
for _, element in ipairs(doomed) do reply[#reply + 1] = element end
return reply
