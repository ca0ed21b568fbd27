-- Shared by the script of periodic jobs; not a script on its own. It reads, and changes nothing.
--
-- Whether a job that was pushed into a queue still lives: it waits there, is in flight at one of our processes or in
-- progress at a Ruby server, or is in the retry or the scheduled set. A job is in at least one of these keys at every instant, and a
-- script sees all of them at the same one; so a crash leaves nothing behind that would have to be cleared.
--
-- What is looked at is bounded, and read once in a call: of each list and set so many jobs at both ends, and of the keys so
-- many pages for the lists of Ruby servers, which nothing names. A job that still waits as it was pushed is found far deeper
-- in its queue, by its bytes. A job that is not found counts as ended.

-- Of a larger payload only so much at both ends is read: the jid is not far from one of them.
local LIVES_BYTES = 4096

local function note(found, jobs)
  for _, job in ipairs(jobs) do
    if #job > 2 * LIVES_BYTES then job = string.sub(job, 1, LIVES_BYTES) .. string.sub(job, -LIVES_BYTES) end
    found[#found + 1] = job
  end
end

-- Both ends of a list or set; a key of another type holds no jobs.
local function note_ends(found, key, command, most)
  local jobs = redis.pcall(command, key, 0, most - 1)
  if is_refused(jobs) then
    if not is_spoilt(jobs) then error(jobs) end
    return
  end
  note(found, jobs)
  if #jobs == most then note(found, redis.call(command, key, -most, -1)) end
end

-- The lists in which a shard of ours has jobs of a queue, but for those that are too large to run. Where a reaper has begun,
-- the index is a text that names the batches; suspects and poison are left when it is gone.
local function note_in_flight(found, index, most)
  local kind, numbers = redis.call('TYPE', index).ok, {}
  if kind == 'hash' then
    numbers = redis.call('HKEYS', index)
  elseif kind == 'string' then
    for number in string.gmatch(redis.call('GET', index), '%d+') do numbers[#numbers + 1] = number end
  end
  local names = kind == 'hash' and {WAIT_LIST} or {WAIT_LIST, SUSPECTS, POISON}
  for _, number in ipairs(numbers) do names[#names + 1] = ':' .. number end
  for _, name in ipairs(names) do note_ends(found, index .. name, 'LRANGE', most) end
end

-- The lists of Ruby servers, of all queues, found once in a call.
local ruby_lists
local function in_progress(pages)
  if ruby_lists then return ruby_lists end
  ruby_lists = {}
  local cursor = '0'
  for _ = 1, pages do
    local page = redis.call('SCAN', cursor, 'MATCH', string.format(IN_PROGRESS, '*', '*'), 'COUNT', 1000)
    for _, key in ipairs(page[2]) do ruby_lists[#ruby_lists + 1] = key end
    cursor = page[1]
    if cursor == '0' then break end
  end
  return ruby_lists
end

-- The jobs that live of a queue, by its key, as one text that is read once in a call.
local living_of = {}
local function living_jobs(queue, sets, leases, most, pages)
  if living_of[queue] then return living_of[queue] end
  local found = {}
  note_ends(found, queue, 'LRANGE', most)
  for _, set in ipairs(sets) do note_ends(found, set, 'ZRANGE', most) end
  for _, member in ipairs(redis.call('ZRANGE', leases, 0, most - 1)) do
    local uuid, shards = string.match(member, '^([^:]+):(%d+)')
    for shard = 0, math.min(tonumber(shards or 0), most) - 1 do
      note_in_flight(found, string.format(IN_FLIGHT, queue, uuid, shard), most)
    end
  end
  local prefix = string.format(IN_PROGRESS, queue, '')
  for _, key in ipairs(in_progress(pages)) do
    if string.sub(key, 1, #prefix) == prefix then note_ends(found, key, 'LRANGE', most) end
  end
  living_of[queue] = table.concat(found, '\n')
  return living_of[queue]
end

-- Whether a list has this very job among so many at either end.
local function waits(queue, job, deep)
  if job == '' or redis.call('TYPE', queue).ok ~= 'list' then return false end
  return redis.call('LPOS', queue, job, 'MAXLEN', deep) or redis.call('LPOS', queue, job, 'RANK', -1, 'MAXLEN', deep)
end

