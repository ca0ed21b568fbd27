-- Read a part of a queue or of a set, newest entries first or oldest first. Changes nothing.
--
-- KEYS  1 queue list or set
-- ARGV  1 'list' or 'zset'   2 entries to skip   3 most entries to return   4 'newest' or 'oldest'
--       5 bytes of entries after which it stops, a single larger one excepted   6 entries to read at once
--       7 size up to which an entry is returned whole   8 bytes that are returned of a larger one
-- Newest is the head of a list and the highest score of a set.
--
-- Returns an array: how many entries there are in all, then for each entry its size, its score ('' in a list), its bytes.
local key, list, newest = KEYS[1], ARGV[1] == 'list', ARGV[4] == 'newest'
local skip, left, budget = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
local step, whole = tonumber(ARGV[6]), tonumber(ARGV[7])
local reply = {redis.call(list and 'LLEN' or 'ZCARD', key)}

-- Entries and their scores in turn.
local function read(first, last)
  if not list then
    if newest then return redis.call('ZRANGE', key, first, last, 'REV', 'WITHSCORES') end
    return redis.call('ZRANGE', key, first, last, 'WITHSCORES')
  end
  local found = newest and redis.call('LRANGE', key, first, last) or redis.call('LRANGE', key, -last - 1, -first - 1)
  local flat = {}
  for i = 1, #found do
    flat[2 * i - 1] = newest and found[i] or found[#found + 1 - i]
    flat[2 * i] = ''
  end
  return flat
end

-- How large entries are is known only once they are read: the first is read alone, then as many as those read were small.
local count, bytes, seen = 1, 0, 0
while left > 0 and budget >= 0 do
  count = math.min(count, step, left)
  local entries = read(skip, skip + count - 1)
  for i = 1, #entries, 2 do
    local entry = entries[i]
    -- A cut entry was read in full all the same.
    if #entry > budget and #reply > 1 then return reply end
    budget, bytes, seen = budget - #entry, bytes + #entry, seen + 1
    reply[#reply + 1] = #entry
    reply[#reply + 1] = entries[i + 1]
    reply[#reply + 1] = #entry > whole and string.sub(entry, 1, tonumber(ARGV[8])) or entry
  end
  if #entries < 2 * count then return reply end
  skip, left = skip + count, left - count
  count = math.max(1, math.min(4 * count, math.floor(budget * seen / (bytes + 1))))
end
return reply
