-- Shared by the scripts with which an operator acts on entries of KEYS[1] that page.lua has shown; not a script on its own.
--
-- An entry is three ARGV: how many newer ones there were, its size, and its bytes: all of them, or the first of a large one.
-- seen(kind, first): the whole entry, if it is still there; else nil. An entry that moved meanwhile is found by all of its
-- bytes, but not by its first bytes alone.
local function seen(kind, first)
  local newer, size, bytes = ARGV[first], tonumber(ARGV[first + 1]), ARGV[first + 2]
  local entry
  if #bytes == size then
    if kind == 'list' or redis.call('ZSCORE', KEYS[1], bytes) then entry = bytes end
  elseif kind == 'list' then
    entry = redis.call('LINDEX', KEYS[1], newer)
  else
    entry = redis.call('ZRANGE', KEYS[1], newer, newer, 'REV')[1]
  end
  if entry and #entry == size and string.sub(entry, 1, #bytes) == bytes then return entry end
  return nil
end

