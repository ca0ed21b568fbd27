-- Move due jobs from the retry set and the scheduled set to their queues.
--
-- KEYS  sets, in the order in which they are served
-- ARGV  1 most jobs to move from each set   2 queue of a job that names none   3 what the key of a queue begins with
--       4 most bytes of payload to move, a single larger one excepted
-- Due is what Redis's own clock says. The payload is read, for its queue, and moved as it is, byte for byte.
--
-- Returns an array: jobs moved, '1' if a set has more that are due, milliseconds until the next job is due (-1: none).
local now
local limit = tonumber(ARGV[1])
local budget = tonumber(ARGV[4])
local moved, more, next_ms = 0, '0', -1
for _, set in ipairs(KEYS) do
  -- One more than is moved: it tells whether there are more, or when the next is due.
  local entries = redis.call('ZRANGE', set, 0, limit, 'WITHSCORES')
  if #entries > 0 and not now then
    local time = redis.call('TIME')
    now = time[1] + time[2] / 1000000
  end
  local due, queues, order = {}, {}, {}
  for i = 1, #entries, 2 do
    local job, score = entries[i], tonumber(entries[i + 1])
    if score > now then
      local ms = math.ceil((score - now) * 1000)
      if next_ms < 0 or ms < next_ms then next_ms = ms end
      break
    end
    if #due == limit or (#job > budget and moved + #due > 0) then
      more = '1'
      break
    end
    budget = budget - #job
    due[#due + 1] = job
    local name = ARGV[2]
    local readable, parsed = pcall(cjson.decode, job)
    if readable and type(parsed) == 'table' and type(parsed.queue) == 'string' and parsed.queue ~= '' then
      name = parsed.queue
    end
    local key = ARGV[3] .. name
    if not queues[key] then
      queues[key] = {}
      order[#order + 1] = key
    end
    local list = queues[key]
    list[#list + 1] = job
  end
  for _, key in ipairs(order) do
    -- Added before they are taken away, though nobody sees the moment between.
    redis.call('LPUSH', key, unpack(queues[key]))
    redis.call('ZREM', set, unpack(queues[key]))
  end
  moved = moved + #due
end
return {moved, more, next_ms}
