-- Renew the lease of a process by Redis's own clock, and name those whose lease has ended.
--
-- KEYS  1 lease set   2 an in-flight index of the process: a string that begins with 'fenced' if its jobs were, or are being,
--       taken over
-- ARGV  1 member: uuid, shards and queues of the process   2 length of the lease in milliseconds   3 most names wanted
--       4 the end of the lease as the last renewal told it (0: not known)   5 until when nobody's lease ends, as the last
--       question told it (0: not known)
-- Returns an array: Redis's clock, in Unix microseconds; the end of the lease in Unix milliseconds; until when no known lease
-- ends (0: ask again); the members whose lease has ended, longest first. The second is -1, and the last, if a reaper has
-- fenced the process: it no longer holds anything, and a lease would only make others reap it again; -2 if the lease set is
-- not a set. A shard that ended in order leaves a different text there, and the others may still run jobs.
--
-- Nothing is asked that cannot have happened. A process is fenced only after its lease has ended; a lease that is not known
-- yet lasts for its whole length from now on.
local time = redis.call('TIME')
local clock = time[1] * 1000000 + time[2]
local now = math.floor(clock / 1000)
local function is_fenced()
  local text = redis.pcall('GET', KEYS[2])
  -- If all is well a hash is there.
  if type(text) == 'table' and string.sub(text.err, 1, 9) ~= 'WRONGTYPE' then error(text) end
  return type(text) == 'string' and string.sub(text, 1, 6) == 'fenced'
end
local ends = now + tonumber(ARGV[2])
local fenced, refusal = whole(function()
  if now > tonumber(ARGV[4]) and is_fenced() then return 1 end
  local added = redis.pcall('ZADD', KEYS[1], string.format('%d', ends), ARGV[1])
  if is_refused(added) then
    if not is_spoilt(added) then error(added) end
    return 2
  end
  if added == 0 then return 0 end
  undo[#undo + 1] = function() redis.pcall('ZREM', KEYS[1], ARGV[1]) end
  if ARGV[4] == '0' or not is_fenced() then return 0 end
  -- Someone took it for ended by a different clock.
  redis.call('ZREM', KEYS[1], ARGV[1])
  return 1
end)
if not fenced then return refusal end
if fenced > 0 then return {clock, -fenced} end
if now <= tonumber(ARGV[5]) then return {clock, ends, tonumber(ARGV[5])} end
local reply, first_end = {clock, ends, 0}, ends
local entries = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3] + 1)
for i = 1, #entries, 2 do
  local score = tonumber(entries[i + 1])
  if score >= now then
    first_end = math.min(first_end, score)
    break
  end
  if #reply < ARGV[3] + 3 then reply[#reply + 1] = entries[i] end
end
if #reply == 3 then reply[3] = first_end end
return reply
