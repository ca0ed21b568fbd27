-- Shared by the scripts that change more than one thing; not a script on its own.
--
-- Redis undoes nothing when a call in the middle of a script is refused: its right was withdrawn, the command was renamed
-- away, or a key has another type. So a script makes all changes inside `whole`: each is noted with what undoes it, and is
-- undone when a later one is refused. What undoes a change is not a call that may itself have been refused, or there is
-- another with the same effect.

-- What undoes the changes made so far, oldest first.
local undo = {}

local function is_refused(result) return type(result) == 'table' and result.err ~= nil end

-- A refusal as a reply, from what `pcall` caught: a table, or before Redis 7 a text that begins with a position.
local function refusal_of(caught)
  if type(caught) == 'table' then return caught end
  return redis.error_reply((string.gsub(tostring(caught), '^@?user_script: ?%d+: ', '')))
end

-- Whether a key is not a number or of another type: nothing but this key is wrong.
local function is_spoilt(refusal)
  return string.find(refusal.err, 'WRONGTYPE', 1, true) ~= nil
    or string.find(refusal.err, 'not an integer', 1, true) ~= nil
    or string.find(refusal.err, 'overflow', 1, true) ~= nil
end

-- All that `body` does, or nothing. Returns its result; or nil and the refusal.
local function whole(body)
  local from = #undo
  local done, result = pcall(body)
  for i = #undo, from + 1, -1 do
    if not done then undo[i]() end
    undo[i] = nil
  end
  if done then return result end
  return nil, refusal_of(result)
end

-- Removes the jobs again that were last pushed to that end of a list.
local function unpush(command, list, jobs, first, last)
  local count, left = last - first + 1, command == 'LPUSH'
  local trimmed
  if left then
    trimmed = redis.pcall('LTRIM', list, count, -1)
  else
    trimmed = redis.pcall('LTRIM', list, 0, -count - 1)
  end
  if not is_refused(trimmed) then return end
  for i = first, last do redis.pcall('LREM', list, left and 1 or -1, jobs[i]) end
end

-- Names the queue of a list in the registry of queues, if one is kept (QUEUES): what is not named there is not seen. A spoilt
-- registry keeps no job from its queue.
local function register(list)
  if QUEUES and string.sub(list, 1, #QUEUE_PREFIX) == QUEUE_PREFIX then
    redis.pcall('SADD', QUEUES, string.sub(list, #QUEUE_PREFIX + 1))
  end
end

-- Pushes jobs, by RPUSH or LPUSH. Lua can unpack about 8,000 values.
local function push(command, list, jobs)
  if #jobs > 0 then register(list) end
  for first = 1, #jobs, 1000 do
    local last = math.min(first + 999, #jobs)
    redis.call(command, list, unpack(jobs, first, last))
    undo[#undo + 1] = function() unpush(command, list, jobs, first, last) end
  end
end

-- The oldest job is at the left of a batch list or a wait list; in a queue the rightmost is taken next.
local function newest_first(jobs)
  local turned = {}
  for i = #jobs, 1, -1 do turned[#turned + 1] = jobs[i] end
  return turned
end

-- Adds a member to a set.
local function add(set, score, member)
  if redis.call('ZADD', set, score, member) == 1 then
    undo[#undo + 1] = function() redis.pcall('ZREM', set, member) end
  end
end

-- Removes a member, whose score is known, from a set. Returns whether it was there.
local function remove(set, score, member)
  local count = redis.call('ZREM', set, member)
  if count == 1 then
    undo[#undo + 1] = function() redis.pcall('ZADD', set, score, member) end
  end
  return count == 1
end

-- Counts. A spoilt counter counts nothing: then returns its key, else nil.
local function count(counter, by)
  local counted = redis.pcall('INCRBY', counter, by)
  if is_refused(counted) then
    if is_spoilt(counted) then return counter end
    error(counted)
  end
  undo[#undo + 1] = function() redis.pcall('INCRBY', counter, -by) end
  return nil
end

-- Deletes a key whose value has since been stored elsewhere.
local function drop(key)
  if is_refused(redis.pcall('UNLINK', key)) then redis.call('DEL', key) end
end

