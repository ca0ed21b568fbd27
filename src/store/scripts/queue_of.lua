-- Shared by the scripts that put a job of a set into its queue; not a script on its own.

-- What a payload names is told by looking at as little of it as will do: to decode a megabyte of numbers holds Redis up for a
-- tenth of a second.

-- Where every client of ours and the gem write the queue: among the last members, before others without escapes.
local END_BYTES = 512

-- Payloads up to this size may be decoded.
local DECODED_BYTES_MAX = 4096

-- What is looked at of a larger one, but for the inside of its strings, in bytes; a bracket or a string counts as some.
local LOOKED_MAX, TOKEN_BYTES = 65536, 32

-- The string that a payload, a JSON object, has as its `queue`, told by its end; nil if that cannot be told so. A quote that no
-- backslash precedes begins or ends a string; the last one ends one, so each of those before it is known, too.
local function queue_at_end(job)
  local text, at, from = string.sub(job, -END_BYTES), nil, 1
  repeat
    local found = string.find(text, '"queue":"', from, true)
    at, from = found or at, (found or 0) + 1
  until not found
  if not at or at == 1 or not string.find(text, '^[{,]', at - 1) then return nil end
  local name, place = string.match(text, '^"queue":"([^"\\]*)"()', at)
  if not name or string.find(text, '"queue"', place, true) then return nil end
  local after = place
  while after do
    place = after
    after = string.match(text, '^,"[%w_]+":"[^"\\]*"()', place) or string.match(text, '^,"[%w_]+":[%w.+-]+()', place)
  end
  return string.find(text, '^}%s*$', place) and name or nil
end

-- Goes on behind a string that begins at `place`; nil if it does not end, or not within what may be looked at. And what was.
local function string_end(job, place)
  local last, looked = place, 0
  repeat
    last = string.find(job, '"', last + 1, true)
    if not last or looked > LOOKED_MAX then return nil, looked end
    local escapes = 0
    while string.byte(job, last - 1 - escapes) == 92 and escapes < 1000 do escapes = escapes + 1 end
    if escapes == 1000 then return nil, looked end
    looked = looked + TOKEN_BYTES + escapes
  until escapes % 2 == 0
  return last, looked
end

-- The string that a payload, a JSON object, has as its `queue`; '' if it has none, nil if that cannot be told by looking at so
-- much of it. What lies in strings is skipped, and what lies deeper is only counted. And how much was looked at.
local function queue_in(job)
  local at, depth, name, looked, quote = 1, 0, '', 0, 0
  while true do
    if quote < at then quote = string.find(job, '"', at, true) or #job + 1 end
    if looked > LOOKED_MAX or quote - at > LOOKED_MAX then return nil, looked end
    local place = string.find(job, '["%[%]{}]', at)
    if not place then return name, looked end
    looked = looked + place - at + TOKEN_BYTES
    local mark = string.byte(job, place)
    at = place + 1
    if mark == 91 or mark == 123 then
      depth = depth + 1
    elseif mark == 93 or mark == 125 then
      depth = depth - 1
    else
      local last, more = string_end(job, place)
      looked = looked + more
      if not last then return nil, looked end
      at = last + 1
      if depth == 1 then
        if last - place < 64 and string.find(string.sub(job, place, last), '\\', 1, true) then return nil, looked end
        local member = last - place == 6 and string.sub(job, place, last) == '"queue"' and string.match(job, '^%s*:%s*()', at)
        if member then name = '' end
        local value = member and string.byte(job, member) == 34 and member + 1
        if value then
          local ends = string.find(job, '["\\]', value)
          if not ends or string.byte(job, ends) == 92 then return nil, looked end
          name, at = string.sub(job, value, ends - 1), ends + 1
        end
      end
    end
  end
end

-- Blanks of Unicode, beside those that are control characters.
local blanks = {}
for _, code in ipairs({32, 160, 5760, 8232, 8233, 8239, 8287, 12288}) do blanks[code] = true end
for code = 8192, 8202 do blanks[code] = true end

-- The character that begins at a byte of a text, and its length; nil if it is not valid UTF-8.
local function character(text, at)
  local first = string.byte(text, at)
  if first < 128 then return first, 1 end
  local length = first >= 240 and 4 or first >= 224 and 3 or 2
  local code = first - (length == 4 and 240 or length == 3 and 224 or 192)
  for i = at + 1, at + length - 1 do
    local byte = string.byte(text, i) or 0
    if byte < 128 or byte > 191 then return nil end
    code = code * 64 + byte - 128
  end
  local least = length == 4 and 65536 or length == 3 and 2048 or 128
  if first < 194 or code < least or code > 1114111 or code >= 55296 and code <= 57343 then return nil end
  return code, length
end

-- Whether a worker may be given a queue of this name: the rules of `wire::QueueName`, and a test holds the two together. Where
-- there is a registry of queues, other programs may serve one of any name.
local function is_servable(name)
  if QUEUES then return name ~= '' end
  if #name < 1 or #name > 128 or string.find(name, '[%z\1-\31\127:,{}]') then return false end
  if string.find(name, 'in_progress', 1, true) then return false end
  local at = 1
  while at <= #name do
    local code, length = character(name, at)
    if not code or code >= 128 and code < 160 then return false end
    if blanks[code] and (at == 1 or at + length > #name) then return false end
    at = at + length
  end
  return true
end

-- What was said of the names seen so far: most jobs name one of few queues.
local servable = {}

local function serves(name)
  if servable[name] == nil then servable[name] = is_servable(name) end
  return servable[name]
end

-- queue_of(job, default): the name of the queue that a payload names; the default if it names none, or is no payload; nil if
-- it is for the caller to read. Whether a worker may be given that queue. And how many bytes to copy takes as long. The payload
-- is only read.
local function queue_of(job, default)
  local name, looked = queue_at_end(job), 0
  if not name and #job <= DECODED_BYTES_MAX then
    local readable, parsed = pcall(cjson.decode, job)
    looked = #job
    name = readable and type(parsed) == 'table' and type(parsed.queue) == 'string' and parsed.queue or ''
  elseif not name then
    name, looked = queue_in(job)
  end
  if name == '' then return default, true, 4 * looked end
  return name, name and serves(name), 4 * looked
end

-- kind_of_queue(key): what is under the key of a queue. In a cluster (own_queue, see cluster.lua) any queue but the realm's
-- is 'elsewhere': its key must not be touched here.
local function kind_of_queue(key)
  if own_queue and key ~= own_queue then return 'elsewhere' end
  return redis.call('TYPE', key).ok
end

