-- The in-flight jobs of one shard and queue, for the scripts that remove all of them; `store::scripts` prepends this.
--
-- KEYS of these scripts, from `first` on: queue list, in-flight index, wait list, oversize list.

-- Whether jobs can be pushed to the key: it is a list, or does not exist yet.
local function takes_jobs(key)
  local kind = redis.call('TYPE', key).ok
  return kind == 'list' or kind == 'none'
end

-- The numbers of the batches that an index names, oldest first. Where a reaper has begun, the index is a fence, which names
-- them: 'fenced 3 5'.
local function batches(index)
  local kind, numbers = redis.call('TYPE', index).ok, {}
  if kind == 'hash' then
    for _, name in ipairs(redis.call('HKEYS', index)) do numbers[#numbers + 1] = tonumber(name) end
  elseif kind == 'string' then
    local names = string.match(redis.call('GET', index), '^fenced ([%d ]+)$')
    for name in string.gmatch(names or '', '%d+') do numbers[#numbers + 1] = tonumber(name) end
  end
  table.sort(numbers)
  return numbers
end

-- The lists in which jobs are in flight: batch lists, oldest first, then oversize list and wait list.
local function in_flight(first)
  local index, lists = KEYS[first + 1], {}
  for i, number in ipairs(batches(index)) do lists[i] = string.format('%s:%d', index, number) end
  for _, list in ipairs({KEYS[first + 3], KEYS[first + 2]}) do
    if redis.call('TYPE', list).ok == 'list' then lists[#lists + 1] = list end
  end
  return lists
end

-- The key under which a job's recoveries are counted.
local function recoveries_key(queue, job)
  if #job > 4096 then
    -- Reading all of it would hold Redis up: its size and its ends tell it from others.
    return string.format(RECOVERIES, queue) .. redis.sha1hex(#job .. string.sub(job, 1, 4096) .. string.sub(job, -4096))
  end
  local readable, parsed = pcall(cjson.decode, job)
  local jid = readable and type(parsed) == 'table' and parsed.jid
  if type(jid) ~= 'string' or jid == '' or #jid > 256 then jid = redis.sha1hex(job) end
  return string.format(RECOVERIES, queue) .. jid
end

-- Before the first job of a shard is taken away: a fence that names the batches, and lasts until all of their jobs are taken,
-- for nothing else names them.
local function begin_fence(first)
  local index = KEYS[first + 1]
  if redis.call('TYPE', index).ok == 'string' then return end
  local names = {}
  for i, number in ipairs(batches(index)) do names[i] = string.format('%d', number) end
  redis.call('SET', index, 'fenced ' .. table.concat(names, ' '))
end

-- A string where the shard expects a hash or a list: whatever the shard still tries, a turn or a blocking move, fails on it
-- before anything has changed.
local function fence(first, text, seconds)
  redis.call('SET', KEYS[first + 2], text, 'EX', seconds)
  redis.call('SET', KEYS[first + 1], text, 'EX', seconds)
end
