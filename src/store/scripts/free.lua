-- Put suspects of a dead shard back into their queue, unless one that was put back earlier still waits there to be taken:
-- where nobody takes them they would gather, and run side by side again once a worker comes. Nor does one follow another of
-- the same queue at once, whichever process puts it back or held it: each reaper of a fleet frees some.
--
-- KEYS  1 queue list   2 suspects list ('<index>:s')   3 until when no other suspect of the queue is put back: Unix
--         milliseconds
-- ARGV  1 how many   2 recoveries after which a job is a suspect   3 bytes of payload after which no further one is put back
--       4 milliseconds until the next may be put back   5 the most that any process asks for there
-- They go to the right end of the queue: they are taken next.
-- Returns how many were put back, 0 if there are no more, -1 if one waits, or was put back a moment ago; and after how many
-- milliseconds the next may be.
local next = redis.call('LINDEX', KEYS[1], -1)
if next then
  -- Anything but a hash counts nothing: see reap.lua.
  local recoveries = redis.pcall('HGET', recoveries_key(KEYS[1], next), 'n')
  if is_refused(recoveries) and not is_spoilt(recoveries) then return recoveries end
  if not is_refused(recoveries) and (tonumber(recoveries or 0) or 0) > tonumber(ARGV[2]) then
    return {-1, tonumber(ARGV[4])}
  end
end
local left = redis.pcall('LLEN', KEYS[2])
if is_refused(left) then return left end
if left == 0 then return {0, 0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Anything but a number of the near future is not ours. Others may make longer pauses than this one.
local till = redis.pcall('GET', KEYS[3])
if is_refused(till) and not is_spoilt(till) then return till end
till = not is_refused(till) and tonumber(till or 0) or 0
if till > now and till <= now + ARGV[5] then return {-1, math.ceil(till - now)} end
redis.call('SET', KEYS[3], string.format('%d', now + ARGV[4]), 'PX', ARGV[4])
local freed, bytes = 0, 0
while freed < tonumber(ARGV[1]) and bytes < tonumber(ARGV[3]) do
  local moved = redis.pcall('LMOVE', KEYS[2], KEYS[1], 'LEFT', 'RIGHT')
  if is_refused(moved) then drop(KEYS[3]) end
  if is_refused(moved) and freed == 0 then return moved end
  if not moved or is_refused(moved) then break end
  if freed == 0 then register(KEYS[1]) end
  freed, bytes = freed + 1, bytes + #moved
end
return {freed, tonumber(ARGV[4])}
