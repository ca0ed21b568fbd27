-- One turn of a shard: report what was settled since the last turn, then fetch the next batch. One round trip.
--
-- KEYS  1 processed counter   2 failures counter   3 retry set   4 dead set   5 home index (the shard's first queue's)
--       6.. pairs (queue list, in-flight index), in the order in which they are served
-- ARGV  1 turn number
--       2 jobs wanted (0: none); where that is not all, the most from each of the first pairs, none from the others: '9,5,4'
--       3 byte budget of the batch   4 largest payload to be sent
--       5 processed delta   6 failed delta   7 dead set cutoff score   8 dead set size
--       9 what becomes of the jobs fetched: 'list': they are in flight, and the caller reads them from the batch lists with
--         the commands that follow; 'here': they are in flight and in the reply; at most once: 'list-once': the caller reads
--         them so and removes the lists, all in one transaction; 'once': they are in the reply alone
--       10 number of the previous turn, if that is still on its way; else 0
--       moves   count, then (pair, batch, raw payload, set, score, new payload) each; the set is 'r', that of retries, 'd',
--               that of the dead, or 'l': where jobs wait that have not failed
--       singles count, then (pair, batch, raw payload) each
--       wholes  count, then (pair, batch) each
--       effects count, then (op, key, arg) each; nothing at all if there are none
-- Keys of batch lists are '<index>:<batch>': same hash tag as their queue, so one slot in a cluster.
--
-- Returns four elements for each pair that had something: pair; the payloads, oldest first, or their number if they are
-- read from the list, or a string: the error of that queue alone; how many payloads were larger than the limit (these went
-- to the list '<index>:o'); bytes that the payloads take. Empty: nothing waits.
-- Before them, if a set or a counter is spoilt (of another type, or not a number), four elements as well: 0; the positions
-- of the moves that are held, from 1: their jobs are in the wait list '<index>:w' now, where no whole batch takes them
-- along; 1 if the processed delta was not counted, and 2 more if the failed one was not; the spoilt keys, an array. The
-- caller reports these again later. Everything else was done.
-- Errors: 'FENCED ...' a reaper has taken this shard's jobs: nothing was changed.
--         'STALE ...'  a later turn has already run (this one was delayed in a dead connection): nothing was changed.
--         'SKIPPED ...' the previous turn failed: nothing was changed. Had this one run, its number would say that it had.
--         other        a call was refused. Of the report, everything or nothing is done: 't' shows which (resume.lua).
--         Of the queue being read nothing was taken; what was taken of others is in its batch.
local home = KEYS[5]
local marks = redis.pcall('HMGET', home, 't', 'b')
if marks.err then
  -- A fence is a key of another type. Any other error, such as a right that was withdrawn, does not come from a reaper.
  if string.sub(marks.err, 1, 9) ~= 'WRONGTYPE' then return marks end
  return redis.error_reply('FENCED the in-flight jobs of this shard were taken over')
end
-- 't' is the last turn that ran, 'b' the last call that resume.lua gave up.
local last = math.max(tonumber(marks[1] or 0), tonumber(marks[2] or 0))
if last >= tonumber(ARGV[1]) then
  return redis.error_reply('STALE turn ' .. ARGV[1] .. ' comes after turn ' .. last)
end
if tonumber(ARGV[10]) > tonumber(marks[1] or 0) then
  return redis.error_reply('SKIPPED turn ' .. ARGV[1] .. ': turn ' .. ARGV[10] .. ' has not run')
end
-- A field that never exists: a script that began with a write that needs no memory may continue even at `maxmemory`, and
-- acks are what frees memory.
redis.call('HDEL', home, '-')

local how = ARGV[9]
local lists, once = how == 'list' or how == 'list-once', how == 'once' or how == 'list-once'
local reply = {}
local held, uncounted, spoilt = {}, 0, {}

-- Whether the set of a move can be added to.
local sets = {}
local function is_set(key)
  if sets[key] == nil then
    local kind = redis.call('TYPE', key).ok
    sets[key] = kind == 'zset' or kind == 'none'
    if not sets[key] then spoilt[#spoilt + 1] = key end
  end
  return sets[key]
end

-- Takes a job out of its batch. If this is undone, one with equal bytes takes its place, and the index names the batch, which
-- may have ended in between: no reaper finds a list that no index names.
local function take_out(index, batch, job)
  if redis.call('LREM', index .. ':' .. batch, 1, job) == 1 then
    undo[#undo + 1] = function()
      redis.pcall('RPUSH', index .. ':' .. batch, job)
      if tonumber(batch) then redis.pcall('HSET', index, batch, 1) end
    end
    return true
  end
end

-- What a turn also does, by the name of the op: each gets a key of this slot and an argument, and notes what undoes it.
local effects = {}

local function do_effects(at)
  for i = at + 1, at + 3 * tonumber(ARGV[at] or 0), 3 do
    local effect = effects[ARGV[i]]
    if not effect then error(redis.error_reply('ERR no effect ' .. ARGV[i])) end
    effect(ARGV[i + 1], ARGV[i + 2])
  end
end

-- The report, all of it or nothing: half of one could not be told from none. What cannot be undone comes last and can be
-- repeated. 't' comes before it, so that what undoes the rest may call HSET.
local function report()
  local at, buried = 12, false
  for i = 1, tonumber(ARGV[11]) do
    local set, index = KEYS[ARGV[at + 3] == 'd' and 4 or 3], KEYS[5 + 2 * ARGV[at]]
    if ARGV[at + 3] == 'l' and LATER then set = LATER end
    local batch = ARGV[at + 1]
    if is_set(set) then
      add(set, ARGV[at + 4], ARGV[at + 5])
      take_out(index, batch, ARGV[at + 2])
      buried = buried or set == KEYS[4]
    else
      if ':' .. batch ~= WAIT_LIST and not once then
        push('RPUSH', index .. WAIT_LIST, {ARGV[at + 2]})
        if not take_out(index, batch, ARGV[at + 2]) then unpush('RPUSH', index .. WAIT_LIST, {ARGV[at + 2]}, 1, 1) end
      end
      held[#held + 1] = i
    end
    at = at + 6
  end
  local singles = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, singles do
    take_out(KEYS[5 + 2 * ARGV[at]], ARGV[at + 1], ARGV[at + 2])
    at = at + 3
  end
  do_effects(at + 1 + 2 * tonumber(ARGV[at]))
  if ARGV[5] ~= '0' then
    local bad = count(KEYS[1], ARGV[5])
    if bad then uncounted, spoilt[#spoilt + 1] = 1, bad end
  end
  if ARGV[6] ~= '0' then
    local bad = count(KEYS[2], ARGV[6])
    if bad then uncounted, spoilt[#spoilt + 1] = uncounted + 2, bad end
  end
  if buried then
    redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[7])
    redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -(tonumber(ARGV[8]) + 1))
  end
  redis.call('HSET', home, 't', ARGV[1])
  undo[#undo + 1] = function()
    if marks[1] then redis.pcall('HSET', home, 't', marks[1]) else redis.pcall('HDEL', home, 't') end
  end
  local wholes = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, wholes do
    local index = KEYS[5 + 2 * ARGV[at]]
    redis.call('UNLINK', index .. ':' .. ARGV[at + 1])
    redis.call('HDEL', index, ARGV[at + 1])
    at = at + 2
  end
  return true
end

local done, refusal = whole(report)
if not done then return refusal end
if #spoilt > 0 then reply = {0, held, uncounted, spoilt} end
local before = #reply

local wanted, budget, payload_max = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
-- How many jobs may come from each pair, if that is limited; how many may come from the one being read.
local limits, room
if not wanted then
  limits = {}
  for number in string.gmatch(ARGV[2], '%d+') do limits[#limits + 1] = tonumber(number) end
  wanted = table.remove(limits, 1)
end

-- Whether the oldest and the newest of the jobs in question are so large that a copy of them all would hold Redis up. The
-- caller wants as many as usual; this is for the first that are not.
local function is_large(queue, waiting)
  local count = math.min(room, waiting)
  if count < 32 then return false end
  local oldest, newest = redis.call('LINDEX', queue, -1), redis.call('LINDEX', queue, -count)
  return math.max(#oldest, #newest) * count > 4 * budget
end

-- Copies jobs from end to end inside Redis, so that none of them passes through Lua. Copies nothing if it is not certain to
-- keep within the budget, or if the user may not do so. A batch beyond the budget is cut to fit, because payloads are
-- mostly of one size; where the cut takes off too much, each is looked at.
local function take_whole(queue, batch)
  local count = redis.pcall('SORT', queue, 'BY', 'nosort', 'DESC', 'LIMIT', 0, room, 'STORE', batch)
  if type(count) == 'table' then return end
  undo[#undo + 1] = function() drop(batch) end
  local cut = false
  for _ = 1, 4 do
    local bytes = redis.pcall('MEMORY', 'USAGE', batch, 'SAMPLES', 0)
    if type(bytes) == 'table' then break end
    if bytes <= budget or (count == 1 and #reply == before and bytes <= payload_max) then
      if not cut then return count, bytes end
      -- No queue behind this one overtakes it.
      if 2 * bytes >= budget then return count, math.max(bytes, budget) end
    end
    if cut and bytes <= budget or count == 1 then break end
    count, cut = math.max(1, math.floor(count * budget / bytes)), true
    if is_refused(redis.pcall('LTRIM', batch, 0, count - 1)) then break end
  end
  drop(batch)
end

-- Looks at each job. Returns the number taken, their bytes, how many of them were too large, and the others.
local function take_each(queue, index, batch)
  local kept, large, bytes, seen_bytes, read, page = {}, {}, 0, 0, 0, 8
  local full = false
  -- In pages, because how large payloads are is known only once they are here.
  while read < room and not full do
    local jobs = redis.call('LRANGE', queue, -math.min(read + page, room), -read - 1)
    for i = #jobs, 1, -1 do
      local job = jobs[i]
      -- More bytes than one turn may bring: the rest stays where it is, and no queue behind this one overtakes it.
      full = full or bytes + #job > budget and #job <= payload_max and #reply - before + #kept + #large > 0
      if full then
        budget = 0
        break
      end
      seen_bytes = seen_bytes + #job
      if #job > payload_max then
        large[#large + 1] = job
      else
        kept[#kept + 1] = job
        bytes = bytes + #job
      end
    end
    read = read + #jobs
    full = full or #jobs < page or seen_bytes >= budget
    page = math.max(1, math.min(4 * page, math.floor((budget - seen_bytes) * read / (seen_bytes + 1))))
  end
  push('RPUSH', index .. OVERSIZE, large)
  if how ~= 'once' then push('RPUSH', batch, kept) end
  return #kept + #large, bytes, #large, kept
end

-- Takes jobs of one queue. What is taken is in its batch before it leaves the queue: a write that Redis refuses leaves the
-- jobs where they were.
local pair, waiting
local function take()
  local queue, index = KEYS[4 + 2 * pair], KEYS[5 + 2 * pair]
  local batch = index .. ':' .. ARGV[1]
  local count, bytes, oversize, jobs
  if lists and not is_large(queue, waiting) then count, bytes = take_whole(queue, batch) end
  if not count then count, bytes, oversize, jobs = take_each(queue, index, batch) end
  oversize = oversize or 0
  if count > oversize and not once then
    redis.call('HSET', index, ARGV[1], count - oversize)
    undo[#undo + 1] = function() redis.pcall('HDEL', index, ARGV[1]) end
  end
  redis.call('LTRIM', queue, 0, -(count + 1))
  wanted, budget = wanted - count, budget - bytes
  local brought = lists and count - oversize or jobs
  for _, element in ipairs({pair, brought, oversize, bytes}) do reply[#reply + 1] = element end
  return true
end

for number = 1, limits and #limits or (#KEYS - 5) / 2 do
  if wanted <= 0 or budget <= 0 then break end
  room = math.min(wanted, limits and limits[number] or wanted)
  waiting = redis.pcall('LLEN', KEYS[4 + 2 * number])
  if type(waiting) == 'table' then
    for _, element in ipairs({number, waiting.err, 0, 0}) do reply[#reply + 1] = element end
  elseif waiting > 0 and room > 0 then
    pair = number
    local taken, refused = whole(take)
    if not taken then return refused end
  end
end
return reply
