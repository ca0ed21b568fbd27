-- Shared by the scripts of periodic jobs; not a script on its own. It reads, and changes nothing.
--
-- Whether a job that was pushed into a queue still lives: it waits there, is in flight at one of our processes or in
-- progress at a Ruby server, or is in the retry or the scheduled set. A job is in at least one of these keys at every instant, and a
-- script sees all of them at the same one; so a crash leaves nothing behind that would have to be cleared.
--
-- Everything is read once in a call, for all jids that the call asks for, and no payload is kept. What is read is bounded for
-- the whole call: in jobs at each end of a list or set, bytes, commands, queues, and pages of keys for the lists of Ruby
-- servers, which nothing names. Each place has its part of the bytes, whatever is in the others: each set an eighth, and of the
-- rest each queue an equal part, half of it for what waits there and half for what is in flight. A job that still is as it was
-- pushed is also found by its bytes, without reading the others: deep in its queue, and in a list in flight that was not read
-- to its end. A job that is not found counts as ended.

local near, deep, pages = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

-- Bytes to read in this call, and commands.
local bytes_most, calls_most = tonumber(ARGV[7]), tonumber(ARGV[8])

-- What is left of this call: queues to look at, jobs to search by bytes; and of the place that is being looked at.
local queues_left, search_left = tonumber(ARGV[9]), tonumber(ARGV[10])
local bytes_left, calls_left = 0, calls_most

-- The jids that the call asks for; false, or the place in which one was found: 'retry', 'scheduled', 'dead', 'queue', 'in flight'.
local sought = {}

-- The place that is being looked at; and what hears of each job that is found: its jid and bytes.
local place
local function tell_of() end

-- So many jobs are read at once: one, more while they are small, and one again when they are large. So what goes beyond the
-- bytes of a place is little.
local STEP_MAX, STEP_BYTES = 16, 65536
local step = 1

-- Whether a member that ends before this place is one of the job itself, not of something in its arguments: from here on one
-- more bracket closes than opens. Its quotes have no backslashes, so it is not text in a string. Of more than is left to read the
-- end is not known, and it counts as one: better a tick too few than two runs at once.
local function is_own(job, at)
  bytes_left = bytes_left - (#job - at)
  if bytes_left < 0 then return true end
  local depth = 1
  while true do
    local found = string.find(job, '["%[%]{}]', at)
    if not found then return depth == 0 end
    local mark = string.byte(job, found)
    if mark == 91 or mark == 123 then
      depth = depth + 1
    elseif mark ~= 34 then
      depth = depth - 1
    else
      local escapes
      repeat
        found = string.find(job, '"', found + 1, true)
        if not found then return false end
        escapes = 0
        while string.byte(job, found - 1 - escapes) == 92 do escapes = escapes + 1 end
      until escapes % 2 == 0
    end
    at = found + 1
  end
end

-- Marks what a job shows to live.
local function note(job)
  local at = 1
  while true do
    local _, quote = string.find(job, '"jid":"', at, true)
    local last = quote and string.find(job, '"', quote + 1, true)
    if not last then return end
    local jid = string.sub(job, quote + 1, last - 1)
    if sought[jid] == false and string.find(job, '^[{,]', quote - 7) and is_own(job, last + 1) then
      sought[jid] = place
      tell_of(jid, job)
    end
    at = last
  end
end

local function begin_place(name, bytes)
  place, bytes_left, step = name, bytes, 1
end

-- Reads a part of a list or set. Returns how many jobs were there; a key of another type holds none.
local function read(command, key, from, to)
  calls_left = calls_left - 1
  local jobs = redis.pcall(command, key, from, to)
  if is_refused(jobs) then
    if not is_spoilt(jobs) then error(jobs) end
    return 0
  end
  local bytes = 0
  for _, job in ipairs(jobs) do
    bytes = bytes + #job
    note(job)
  end
  bytes_left = bytes_left - bytes
  step = bytes > STEP_BYTES and 1 or math.min(2 * step, STEP_MAX)
  return #jobs
end

-- Reads both ends of a list or set, by turns. Returns whether that was all of it, and how many were read at its end.
local function read_ends(command, key)
  if bytes_left <= 0 or calls_left <= 0 then return false, 0 end
  local front, back = math.min(step, near), 0
  if read(command, key, 0, front - 1) < front then return true, 0 end
  local size = redis.call(command == 'LRANGE' and 'LLEN' or 'ZCARD', key)
  while front + back < size and math.min(front, back) < near do
    if bytes_left <= 0 or calls_left <= 0 then return false, back end
    local count = math.min(step, near - math.min(front, back), size - front - back)
    if back <= front then
      back = back + count
      read(command, key, -back, count - back - 1)
    else
      front = front + count
      read(command, key, front - count, front - 1)
    end
  end
  return front + back >= size, back
end

-- The lists in which a shard of ours has jobs of a queue, but for those that are too large to run. Where a reaper has begun,
-- the index is a text that names the batches; suspects and poison are left when it is gone.
local function lists_in_flight(index)
  calls_left = calls_left - 1
  local fields, lists = redis.pcall('HKEYS', index), {}
  local is_fenced = is_refused(fields)
  if is_fenced then
    if not is_spoilt(fields) then error(fields) end
    local names = redis.pcall('GET', index)
    fields = {}
    for number in string.gmatch(is_refused(names) and '' or names, '%d+') do fields[#fields + 1] = number end
  end
  for _, field in ipairs(fields) do
    if string.find(field, '^%d+$') then lists[#lists + 1] = index .. ':' .. field end
  end
  lists[#lists + 1] = index .. WAIT_LIST
  if #fields == 0 then
    calls_left = calls_left - 1
    if redis.call('EXISTS', index .. WAIT_LIST, index .. SUSPECTS, index .. POISON) == 0 then return {} end
  end
  if is_fenced or #fields == 0 then
    lists[#lists + 1] = index .. SUSPECTS
    lists[#lists + 1] = index .. POISON
  end
  return lists
end

-- Whether a process with a lease serves a queue, by its key: its lease names its queues.
local function serves_queue(served, queue)
  for name in string.gmatch(served, '[^,]+') do
    if string.sub(queue, -#name - 1) == ':' .. name then return true end
  end
  return false
end

-- The lists of Ruby servers, of all queues.
local function lists_in_progress()
  local lists, cursor = {}, '0'
  for _ = 1, pages do
    local page = redis.call('SCAN', cursor, 'MATCH', string.format(IN_PROGRESS, '*', '*'), 'COUNT', 1000)
    for _, key in ipairs(page[2]) do lists[#lists + 1] = key end
    cursor = page[1]
    if cursor == '0' then break end
  end
  return lists
end

-- What is read once in a call; into how many parts it divides; the lists in flight of each queue that were not read to their
-- ends; and the queues where something was not looked at.
local ruby_lists, leases_read, parts
local unread, partly = {}, {}

-- Reads what belongs to no queue, before the first. `asked`: for each job its jid and its queue. `sets`: for each its key, its
-- place, and what is done when it has been read, or nil.
local function begin_look(asked, sets, leases)
  local queues = {}
  parts = 0
  for _, job in ipairs(asked) do
    sought[job[1]] = false
    if not queues[job[2]] then parts = math.min(parts + 1, queues_left) end
    queues[job[2]] = true
  end
  leases_read = redis.call('ZRANGE', leases, 0, -1)
  ruby_lists = lists_in_progress()
  for _, set in ipairs(sets) do
    begin_place(set[2], bytes_most / 8)
    local is_read, back = read_ends('ZRANGE', set[1])
    if set[3] then set[3](is_read, back) end
  end
end

-- Reads what belongs to a queue, with its part of what is left.
local function look_at_queue(queue)
  local bytes = bytes_most * 3 / 8 / parts
  queues_left, calls_left = queues_left - 1, calls_most / parts
  begin_place('queue', bytes)
  partly[queue] = not read_ends('LRANGE', queue)
  begin_place('in flight', bytes)
  local lists = {}
  for _, key in ipairs(ruby_lists) do
    local prefix = string.format(IN_PROGRESS, queue, '')
    if string.sub(key, 1, #prefix) == prefix and not read_ends('LRANGE', key) then lists[#lists + 1] = key end
  end
  for _, member in ipairs(leases_read) do
    local uuid, shards, served = string.match(member, '^([^:]+):(%d+):(.*)$')
    for shard = 0, uuid and serves_queue(served, queue) and tonumber(shards) - 1 or -1 do
      if calls_left <= 0 then
        partly[queue] = true
        break
      end
      for _, list in ipairs(lists_in_flight(string.format(IN_FLIGHT, queue, uuid, shard))) do
        if not read_ends('LRANGE', list) then lists[#lists + 1] = list end
      end
    end
  end
  unread[queue] = lists
end

-- Whether a list has this very job, among so many from this end.
local function has(list, job, rank, most)
  local at = redis.pcall('LPOS', list, job, 'RANK', rank, 'MAXLEN', most)
  if is_refused(at) and not is_spoilt(at) then error(at) end
  return type(at) == 'number'
end

-- The place in which a job lives that was pushed into a queue, or false; nil if this call has looked at so much that the next
-- one has to.
local function lives(queue, jid, job)
  if not unread[queue] then
    if queues_left == 0 then return nil end
    look_at_queue(queue)
  end
  if sought[jid] or job == '' then return sought[jid] end
  local size = redis.pcall('LLEN', queue)
  size = is_refused(size) and 0 or size
  if math.min(size, 2 * deep) > search_left then return nil end
  search_left = search_left - math.min(size, 2 * deep)
  if has(queue, job, 1, deep) or size > deep and has(queue, job, -1, deep) then return 'queue' end
  for _, list in ipairs(unread[queue]) do
    calls_left = calls_left - 1
    if calls_left > 0 and has(list, job, 1, deep) then return 'in flight' end
  end
  return false
end

