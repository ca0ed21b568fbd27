-- Shared by the scripts that put a job of a set into its queue; no script of its own.

-- The string that a large payload, a JSON object, has as its `queue`; '' if it has none, nil if that cannot be told so. To decode
-- all of it would hold Redis up: what lies in strings is skipped, and what lies deeper is only counted.
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
        local value = string.sub(job, place, last) == '"queue"' and string.match(job, '^%s*:%s*"()', at)
        if value then
          local ends = string.find(job, '["\\]', value)
          if not ends or string.byte(job, ends) == 92 then return nil end
          name, at = string.sub(job, value, ends - 1), ends + 1
        end
      end
    end
  end
end

-- key_of_queue(job, default, prefix): the key of the queue that a payload names; of the default queue if it names none, or
-- is no payload. The payload is only read.
local function key_of_queue(job, default, prefix)
  local name = #job > 65536 and queue_in(job)
  if not name then
    local readable, parsed = pcall(cjson.decode, job)
    name = readable and type(parsed) == 'table' and type(parsed.queue) == 'string' and parsed.queue or ''
  end
  return prefix .. (name == '' and default or name)
end

-- kind_of_queue(key): what lies under the key of a queue. In a cluster (own_queue, see cluster.lua) any queue but that of the
-- realm is 'elsewhere': its key must not be touched here.
local function kind_of_queue(key)
  if own_queue and key ~= own_queue then return 'elsewhere' end
  return redis.call('TYPE', key).ok
end

