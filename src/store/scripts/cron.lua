-- Change the table of periodic jobs, push what is due, and tell what is due next.
--
-- KEYS  1 ticks   2 entries   3 runs   4 holders   5 leases   6 retry set   7 scheduled set
-- ARGV  1 most entries to tell of   2 largest entry to tell of, in bytes   3 milliseconds until an entry is due again that was
--       put off   4..10 what to look at in all for jobs that may live (lives.lua): most jobs at each end of a list
--       or set   most jobs at each end of its queue for one whose bytes are known   most pages of keys to search for lists of
--       Ruby servers   bytes   commands   queues   jobs to search by bytes
--       11.. for each change, fourteen and its payloads:
--       name   what has to be stored of the entry: its bytes, '' nothing, '*' anything   its score likewise
--       the time, Unix milliseconds, that must have come; '' none   where no holder of the entry lives: '-' remove it, a
--       number: put it off by so many milliseconds, '' nothing
--       the entry from now on: its bytes, '' unchanged, '-' none   its score likewise   its run likewise
--       the uuid of a process that holds it from now on, '' none   the jid of a job that must not live any more, '' none
--       that job's bytes, '' not known   the run that is stored if it lives   the key of its queue   how many payloads
--       follow
-- Redis's own clock decides what is due. Each change happens as a whole or not at all, whatever becomes of the others; one
-- whose entry or tick has changed since the caller read it does not happen. So a tick is pushed once, however
-- many offer it. A holder lives while it has a lease. An entry that should have a living one and has none is removed.
-- A connection that tracks keys learns of every change of the ticks from this call on: they are read after the last change.
--
-- Where a job lives that must not, the tick passes without a push: that run is stored, and the score moves on (lives.lua).
--
-- Returns an error that names the key if one of the first four is of another type. Else an array: Unix milliseconds now; the array of what became of each change: 1 done, 0 something else is stored or
-- it is not due, 2 the entry was removed because no holder lives, 3 left out because that job lives, 4 nothing, for it needs
-- a look and this call has looked at enough: to be offered again, 5 put off because no holder lives, -1 put off because its queue is not a list; and for each
-- entry that is due now, or that comes first, four: name, score, entry, run. An entry that is too large is told as ''.
local ticks, entries, runs, holders, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
-- Where the changes begin.
local FIRST = 11

-- Nothing is changed where a key of the table is spoilt, and the answer names it.
for i, wanted in ipairs({'zset', 'hash', 'hash', 'hash'}) do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= wanted and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE the key ' .. KEYS[i] .. ' of the table of periodic jobs is a ' .. kind ..
      ', not a ' .. wanted .. '; rename or delete it')
  end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The uuids of processes with a lease, read when first asked for.
local living
local function is_living(uuid)
  if not living then
    living = {}
    for _, lease in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
      living[string.match(lease, '^[^:]*')] = true
    end
  end
  return living[uuid]
end

-- Those of an entry's holders that live, as they are stored; '' if none.
local function living_holders(name)
  local held = {}
  for uuid in string.gmatch(redis.call('HGET', holders, name) or '', '%S+') do
    if is_living(uuid) then held[#held + 1] = uuid end
  end
  return table.concat(held, ' ')
end

-- Sets a field, or deletes it if the value is '-'.
local function set_field(key, name, value)
  local before = redis.call('HGET', key, name)
  if value == '-' then
    redis.call('HDEL', key, name)
  else
    redis.call('HSET', key, name, value)
  end
  undo[#undo + 1] = function()
    if before then redis.pcall('HSET', key, name, before) else redis.pcall('HDEL', key, name) end
  end
end

-- Sets the score of a tick, or removes it if the score is '-'.
local function set_tick(name, score)
  local before = redis.call('ZSCORE', ticks, name)
  if score == '-' then
    redis.call('ZREM', ticks, name)
  else
    redis.call('ZADD', ticks, score, name)
  end
  undo[#undo + 1] = function()
    if before then redis.pcall('ZADD', ticks, before, name) else redis.pcall('ZREM', ticks, name) end
  end
end

local function forget(name)
  set_tick(name, '-')
  for _, key in ipairs({entries, runs, holders}) do set_field(key, name, '-') end
end

-- A score as it is told and compared: one that was written by hand may be no whole number, or infinite.
local function whole_score(score)
  return string.format('%.0f', math.floor(math.max(-9e15, math.min(9e15, tonumber(score)))))
end

-- The jobs that must not live, of all changes: fourteen and payloads each.
local function asked()
  local jobs, at = {}, FIRST
  while at <= #ARGV do
    if ARGV[at + 9] ~= '' then jobs[#jobs + 1] = {ARGV[at + 9], ARGV[at + 12]} end
    at = at + 14 + tonumber(ARGV[at + 13])
  end
  return jobs
end

-- One change, whose arguments begin here. What became of it.
local function change(at)
  local name, entry, score, due = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local unheld, holder, queue, count = ARGV[at + 4], ARGV[at + 8], ARGV[at + 12], tonumber(ARGV[at + 13])
  if entry ~= '*' and (redis.call('HGET', entries, name) or '') ~= entry then return 0 end
  local before = score ~= '*' and redis.call('ZSCORE', ticks, name)
  if score ~= '*' and (before and whole_score(before) or '') ~= score then return 0 end
  if due ~= '' and tonumber(due) > now then return 0 end
  if unheld ~= '' and living_holders(name) == '' then
    if unheld ~= '-' then
      set_tick(name, now + unheld)
      return 5
    end
    forget(name)
    return 2
  end
  if ARGV[at + 9] ~= '' then
    if not parts then begin_look(asked(), {{KEYS[6], 'retry'}, {KEYS[7], 'scheduled'}}, leases) end
    local found = lives(queue, ARGV[at + 9], ARGV[at + 10])
    if found == nil then return 4 end
    if found then
      set_field(runs, name, ARGV[at + 11])
      if ARGV[at + 6] ~= '' then set_tick(name, ARGV[at + 6]) end
      return 3
    end
  end
  if count > 0 then
    local kind = redis.call('TYPE', queue).ok
    if kind ~= 'list' and kind ~= 'none' then
      -- An entry that is not due is not put off either.
      if due ~= '' then set_tick(name, now + ARGV[3]) end
      return -1
    end
    push('LPUSH', queue, {unpack(ARGV, at + 14, at + 13 + count)})
  end
  if ARGV[at + 5] == '-' then
    forget(name)
    return 1
  end
  if ARGV[at + 5] ~= '' then set_field(entries, name, ARGV[at + 5]) end
  if ARGV[at + 7] ~= '' then set_field(runs, name, ARGV[at + 7]) end
  if holder ~= '' then
    local held = living_holders(name)
    if not string.find(' ' .. held .. ' ', ' ' .. holder .. ' ', 1, true) then
      set_field(holders, name, held == '' and holder or held .. ' ' .. holder)
    end
  end
  if ARGV[at + 6] ~= '' then set_tick(name, ARGV[at + 6]) end
  return 1
end

local results = {}
local at = FIRST
while at <= #ARGV do
  local here = at
  local result, refusal = whole(function() return change(here) end)
  if refusal then return refusal end
  results[#results + 1] = result
  at = at + 14 + tonumber(ARGV[at + 13])
end

local reply = {now, results}
local first = redis.call('ZRANGE', ticks, 0, 0, 'WITHSCORES')
if not first[2] then return reply end
local horizon = math.max(now, tonumber(first[2]))
local most = tonumber(ARGV[1])
local told = redis.call('ZRANGEBYSCORE', ticks, '-inf', string.format('%.17g', horizon), 'WITHSCORES', 'LIMIT', 0, most)
local names = {}
for i = 1, #told, 2 do names[#names + 1] = told[i] end
local stored, ran = redis.call('HMGET', entries, unpack(names)), redis.call('HMGET', runs, unpack(names))
for i, name in ipairs(names) do
  local entry = stored[i]
  if entry and #entry > tonumber(ARGV[2]) then entry = '' end
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] = name, whole_score(told[2 * i]), entry, ran[i]
end
return reply
