-- Shared by the scripts that are told of an entry by its ends; no script of its own.

-- Whether an entry has this size, and these bytes at its beginning and at its end.
local function is_same(entry, size, head, tail)
  return #entry == size and string.sub(entry, 1, #head) == head and (tail == '' or string.sub(entry, -#tail) == tail)
end

