-- Make one batch list agree with what its shard knows: keep what runs, drop what is settled, hand back the rest.
-- Used after a lost connection (a reply or an ack may be missing), on quiet and on stop, and for unstarted jobs that waited
-- too long. Safe to repeat.
--
-- KEYS  1 queue list   2 in-flight index of that queue   3 batch list   4 home index of the shard
-- ARGV  1 batch name   2 number of the call, from the same series as those of turns
--       3 most bytes of payload to hand back, a single larger one excepted, if there is nothing else to do
--       4 count of payloads to keep, then these, then the count of settled payloads, then these
-- Equal payloads are interchangeable; each occurrence counts once.
-- What is handed back goes to the right end of the queue in its old order: it is taken next.
--
-- Returns the number of jobs handed back; below 0, if some are left for the next call.
-- Errors, on which nothing was changed: 'FENCED ...' as for a turn.
--         'HELD ...'   jobs are to go back to a queue whose key is not a list: they stay in flight, named by the batch.
--         'STALE ...'  a later turn has run, or its shard has resumed over another connection: what this call knows is
--         outdated, and jobs that have since come to a wait list would be handed back while they run.
local marks = redis.pcall('HMGET', KEYS[4], 't', 'b')
if marks.err then
  -- Only another type is a fence: see turn.lua.
  if string.sub(marks.err, 1, 9) ~= 'WRONGTYPE' then return marks end
  return redis.error_reply('FENCED the in-flight jobs of this shard were taken over')
end
local last = math.max(tonumber(marks[1] or 0), tonumber(marks[2] or 0))
if last >= tonumber(ARGV[2]) then
  return redis.error_reply('STALE call ' .. ARGV[2] .. ' comes after ' .. last)
end

local function is_held()
  local kind = redis.call('TYPE', KEYS[1]).ok
  if kind == 'list' or kind == 'none' then return nil end
  return redis.error_reply('HELD ' .. KEYS[1] .. ' is not a list but a ' .. kind .. ', so jobs cannot be handed back to it')
end

local function end_batch(jobs)
  if redis.call('HDEL', KEYS[2], ARGV[1]) == 1 then
    undo[#undo + 1] = function() redis.pcall('HSET', KEYS[2], ARGV[1], jobs) end
  end
end

-- All of it goes back: part by part, as each part that did makes the list shorter.
local function hand_back()
  local jobs, are_all = newest(KEYS[3], 500, tonumber(ARGV[3]))
  push('RPUSH', KEYS[1], jobs)
  if are_all then end_batch(#jobs) end
  remove_newest(KEYS[3], jobs, are_all)
  return are_all and #jobs or -#jobs
end

if ARGV[4] == '0' and ARGV[5] == '0' then
  if redis.call('LLEN', KEYS[3]) > 0 then
    local held = is_held()
    if held then return held end
  end
  -- A field that is never there: see turn.lua.
  redis.call('HDEL', KEYS[4], '-')
  local count, refusal = whole(hand_back)
  return count or refusal
end

local at = 4
local function multiset()
  local counts = {}
  local last = at + tonumber(ARGV[at])
  for i = at + 1, last do
    counts[ARGV[i]] = (counts[ARGV[i]] or 0) + 1
  end
  at = last + 1
  return counts
end
local keep, settled = multiset(), multiset()

local jobs = redis.call('LRANGE', KEYS[3], 0, -1)
local kept, back = {}, {}
for _, job in ipairs(jobs) do
  if (keep[job] or 0) > 0 then
    keep[job] = keep[job] - 1
    kept[#kept + 1] = job
  elseif (settled[job] or 0) > 0 then
    settled[job] = settled[job] - 1
  else
    back[#back + 1] = job
  end
end
if #back > 0 then
  local held = is_held()
  if held then return held end
end
-- A field that never exists: see turn.lua.
redis.call('HDEL', KEYS[4], '-')

local function agree()
  push('RPUSH', KEYS[1], newest_first(back))
  if #kept == 0 then
    end_batch(#jobs)
    drop(KEYS[3])
  elseif #kept < #jobs then
    -- Behind all the jobs, which then go.
    push('RPUSH', KEYS[3], kept)
    if is_refused(redis.pcall('LTRIM', KEYS[3], #jobs, -1)) then redis.call('LPOP', KEYS[3], #jobs) end
  end
  return #back
end
local handed_back, refusal = whole(agree)
return handed_back or refusal
