-- Shared by the script of periodic jobs; not a script on its own. It reads, and changes nothing.
--
-- Whether a job that was pushed into a queue still lives: it waits there, is in flight at one of our processes or in progress
-- at a Ruby server, or is in the retry or the scheduled set. A job is in at least one of these keys at every instant, and a
-- script sees all of them at the same one; so a crash leaves nothing behind that would have to be cleared.
--
-- What is looked at is bounded, and read once in a call: of each list and set so many jobs at both ends, and of the keys so
-- many pages for the lists of Ruby servers, which nothing names. A job that still waits as it was pushed is found far deeper
-- in its queue, by its bytes. A job that is not found counts as ended.

-- Of a larger payload only so much at both ends is read: the jid is not far from one of them.
local LIVES_BYTES = 4096

local function note_jids(found, jobs)
  for _, job in ipairs(jobs) do
    if #job > 2 * LIVES_BYTES then job = string.sub(job, 1, LIVES_BYTES) .. string.sub(job, -LIVES_BYTES) end
    for jid in string.gmatch(job, '"jid":"([^"]*)"') do found[jid] = true end
  end
end

-- Both ends of a list or set; a key of another type holds no jobs.
local function note_ends(found, key, kind, most)
  if redis.call('TYPE', key).ok ~= kind then return end
  local range, length = 'LRANGE', 'LLEN'
  if kind == 'zset' then range, length = 'ZRANGE', 'ZCARD' end
  note_jids(found, redis.call(range, key, 0, most - 1))
  if redis.call(length, key) > most then note_jids(found, redis.call(range, key, -most, -1)) end
end

-- The lists in which a shard of ours has jobs of a queue. Where a reaper has begun, the index is a text that names the batches.
local function note_in_flight(found, index, most)
  local kind, batches = redis.call('TYPE', index).ok, {}
  if kind == 'hash' then
    batches = redis.call('HKEYS', index)
  elseif kind == 'string' then
    for number in string.gmatch(redis.call('GET', index), '%d+') do batches[#batches + 1] = number end
  end
  for _, name in ipairs({'w', 'o', 's', 'p', unpack(batches)}) do
    note_ends(found, index .. ':' .. name, 'list', most)
  end
end

-- The lists of Ruby servers, of all queues, found once in a call.
local ruby_lists
local function in_progress(pages)
  if ruby_lists then return ruby_lists end
  ruby_lists = {}
  local cursor = '0'
  for _ = 1, pages do
    local page = redis.call('SCAN', cursor, 'MATCH', '*:in_progress:*', 'COUNT', 1000)
    for _, key in ipairs(page[2]) do ruby_lists[#ruby_lists + 1] = key end
    cursor = page[1]
    if cursor == '0' then break end
  end
  return ruby_lists
end

-- The jids of what lives of a queue, by its key, read once in a call.
local jids_of = {}
local function living_jids(queue, sets, leases, most, pages)
  local found = jids_of[queue]
  if found then return found end
  found = {}
  jids_of[queue] = found
  note_ends(found, queue, 'list', most)
  for _, set in ipairs(sets) do note_ends(found, set, 'zset', most) end
  for _, member in ipairs(redis.call('ZRANGE', leases, 0, most - 1)) do
    local uuid, shards = string.match(member, '^([^:]+):(%d+)')
    for shard = 0, math.min(tonumber(shards or 0), most) - 1 do
      note_in_flight(found, string.format('{%s}:inflight:%s:%d', queue, uuid, shard), most)
    end
  end
  local prefix = queue .. ':in_progress:'
  for _, key in ipairs(in_progress(pages)) do
    if string.sub(key, 1, #prefix) == prefix then note_ends(found, key, 'list', most) end
  end
  return found
end

-- Whether a list has this very job among so many at either end.
local function waits(queue, job, deep)
  if job == '' or redis.call('TYPE', queue).ok ~= 'list' then return false end
  return redis.call('LPOS', queue, job, 'MAXLEN', deep) or redis.call('LPOS', queue, job, 'RANK', -1, 'MAXLEN', deep)
end

