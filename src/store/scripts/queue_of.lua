-- Shared by the scripts that put a job of a set into its queue; not a script on its own.

-- The string that a large payload, a JSON object, has as its `queue`; '' if it has none, nil if that cannot be told this
-- way. Decoding all of it would hold Redis up: the inside of strings is skipped, and what is nested deeper is only counted.
local function queue_in(job)
  local at, depth, name = 1, 0, ''
  while true do
    local place = string.find(job, '["%[%]{}]', at)
    if not place then return name end
    local mark = string.byte(job, place)
    at = place + 1
    if mark == 91 or mark == 123 then
      depth = depth + 1
    elseif mark == 93 or mark == 125 then
      depth = depth - 1
    else
      local last = place
      repeat
        last = string.find(job, '"', last + 1, true)
        if not last then return nil end
        local escapes = 0
        while string.byte(job, last - 1 - escapes) == 92 do escapes = escapes + 1 end
      until escapes % 2 == 0
      at = last + 1
      if depth == 1 then
        if last - place < 64 and string.find(job, '^[^"]*\\', place + 1) then return nil end
        local is_queue = string.sub(job, place, last) == '"queue"'
        local value = is_queue and string.match(job, '^%s*:%s*"()', at)
        if is_queue then name = '' end
        if value then
          local ends = string.find(job, '["\\]', value)
          if not ends or string.byte(job, ends) == 92 then return nil end
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

-- Whether a worker may be given a queue of this name: the rules of `wire::QueueName`, and a test holds the two together.
local function is_servable(name)
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

-- queue_of(job, default): the name of the queue that a payload names; the default if it names none, or is no payload. And
-- whether a worker may be given that queue. The payload is only read.
local function queue_of(job, default)
  local name = #job > 65536 and queue_in(job)
  if not name then
    local readable, parsed = pcall(cjson.decode, job)
    name = readable and type(parsed) == 'table' and type(parsed.queue) == 'string' and parsed.queue or ''
  end
  if name == '' then return default, true end
  if servable[name] == nil then servable[name] = is_servable(name) end
  return name, servable[name]
end

-- kind_of_queue(key): what is under the key of a queue. In a cluster (own_queue, see cluster.lua) any queue but the realm's
-- is 'elsewhere': its key must not be touched here.
local function kind_of_queue(key)
  if own_queue and key ~= own_queue then return 'elsewhere' end
  return redis.call('TYPE', key).ok
end

