-- Put suspects of a dead shard back into their queue, unless one that was put back earlier still waits there to be taken:
-- where nobody takes them they would gather, and run side by side again once a worker comes.
--
-- KEYS  1 queue list   2 suspects list ('<index>:s')
-- ARGV  1 how many   2 recoveries after which a job is a suspect   3 bytes of payload after which no further one is put back
-- They go to the right end of the queue: they are taken next.
-- Returns how many were put back: 0 if there are no more; -1 if one waits.
local next = redis.call('LINDEX', KEYS[1], -1)
if next then
  -- Anything but a hash counts nothing: see reap.lua.
  local recoveries = redis.pcall('HGET', recoveries_key(KEYS[1], next), 'n')
  if is_refused(recoveries) and not is_spoilt(recoveries) then return recoveries end
  if not is_refused(recoveries) and (tonumber(recoveries or 0) or 0) > tonumber(ARGV[2]) then return -1 end
end
local freed, bytes = 0, 0
while freed < tonumber(ARGV[1]) and bytes < tonumber(ARGV[3]) do
  local moved = redis.pcall('LMOVE', KEYS[2], KEYS[1], 'LEFT', 'RIGHT')
  if is_refused(moved) and freed == 0 then return moved end
  if not moved or is_refused(moved) then return freed end
  if freed == 0 then register(KEYS[1]) end
  freed, bytes = freed + 1, bytes + #moved
end
return freed
