-- Shared by the scripts that put a job of a set into its queue; not a script on its own.

-- Members behind the time of the push that are looked at, at most, and where it is looked for in a payload.
local MEMBERS_MAX, RENEWED_BYTES = 32, 65536

-- Whether from this place on a payload has nothing but members whose values are no arrays or objects, up to its end: then what is
-- before it is a member of the payload itself.
local function ends_plainly(job, place)
  for _ = 1, MEMBERS_MAX do
    if string.find(job, '^}%s*$', place) then return true end
    local value = string.match(job, '^,"[%w_]+":()', place)
    if not value then return false end
    if string.byte(job, value) == 34 then
      local last = string_end(job, value)
      if not last then return false end
      place = last + 1
    else
      place = string.match(job, '^[%w.+-]+()', value)
      if not place then return false end
    end
  end
  return false
end

-- renewed(job, now): the payload as it is pushed to its queue, at that Unix time. Where a registry of queues is kept, the time of
-- the push is in it, so that pages know how long it waits: the last member of that name gets the new time, in its own unit
-- (whole numbers are milliseconds), or there is a new member. Some write the member before there is a time: null.
local function renewed(job, now)
  if not QUEUES or string.byte(job, 1) ~= 123 then return job end
  local place, first, last, old
  local from = math.max(1, #job - RENEWED_BYTES)
  repeat
    place = string.find(job, '"enqueued_at":', from, true)
    if place then
      local s, e, text = string.find(job, '^"enqueued_at":([%d.eE+-]+)', place)
      if not s then s, e, text = string.find(job, '^"enqueued_at":(null)', place) end
      if s and string.find(job, '^[{,]', place - 1) then first, last, old = s + 14, e, text end
      from = place + 1
    end
  until not place
  local unit = old ~= 'null' and old or string.match(job, ',"created_at":([%d.eE+-]+)[,}]')
  local is_whole = unit and string.find(unit, '^%d+$') and #unit > 11
  local stamp = is_whole and string.format('%.0f', now * 1000) or string.format('%.6f', now)
  if first and ends_plainly(job, last + 1) then return string.sub(job, 1, first - 1) .. stamp .. string.sub(job, last + 1) end
  local body = string.match(job, '^(.*)}%s*$')
  if not body then return job end
  return body .. (string.find(body, '^{%s*$') and '' or ',') .. '"enqueued_at":' .. stamp .. '}'
end

