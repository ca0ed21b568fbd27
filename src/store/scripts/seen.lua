-- Shared by the scripts with which an operator acts on entries of KEYS[1] that page.lua has shown; not a script on its own.
--
-- An entry is five ARGV: how many newer ones there were, its score ('' if that is not known), its size, its bytes, its last
-- bytes. The bytes are all of it, or the first ones of a large one; the last ones may be ''. To send, to copy and to look up
-- all of a large one would hold Redis up.
-- seen(kind, first): the whole entry, and in a set its score, if it is still there; else nil. A large one in a list is not
-- found if it moved meanwhile.

-- Entries of one score that are looked at for a large one.
local ALIKE_MAX = 16

-- How many this call has found and moved away: those behind them have moved up.
local moved = 0

-- A large entry of the set, from the highest score: at the place where it was, or else among those of its score.
local function at_place(newer, score, size, bytes, tail)
  for i = -1, score == '' and -1 or ALIKE_MAX - 1 do
    local entry
    if i < 0 then
      local place = math.max(0, newer - moved)
      entry = redis.call('ZRANGE', KEYS[1], place, place, 'REV', 'WITHSCORES')
    else
      entry = redis.call('ZRANGE', KEYS[1], score, score, 'BYSCORE', 'REV', 'LIMIT', i, 1, 'WITHSCORES')
      if not entry[1] then return nil end
    end
    if entry[1] and is_same(entry[1], size, bytes, tail) and (score == '' or tonumber(entry[2]) == tonumber(score)) then
      return entry[1], entry[2]
    end
  end
  return nil
end

local function seen(kind, first)
  local newer, size, bytes, tail = tonumber(ARGV[first]), tonumber(ARGV[first + 2]), ARGV[first + 3], ARGV[first + 4]
  if #bytes == size then
    if kind == 'list' then return bytes end
    local score = redis.call('ZSCORE', KEYS[1], bytes)
    if not score then return nil end
    moved = moved + 1
    return bytes, score
  end
  if kind == 'list' then
    local entry = redis.call('LINDEX', KEYS[1], newer)
    return entry and is_same(entry, size, bytes, tail) and entry or nil
  end
  local entry, score = at_place(newer, ARGV[first + 1], size, bytes, tail)
  if entry then moved = moved + 1 end
  return entry, score
end
