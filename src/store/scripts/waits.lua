-- What waits: when the next jobs of two sets are due, and which job of each queue is taken next. Changes nothing.
--
-- KEYS  1 retry set   2 scheduled set   3.. lists of queues
-- ARGV  1 most bytes of a job to tell
--
-- Returns two scores as text, '' where nothing is due or the key is no set, then for each list two values: the beginning of
-- the job that is taken next, '' where there is none or the key is no list; and how many bytes that job has.
local reply = {}
for i = 1, 2 do
  local first = redis.pcall('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  reply[i] = first.err and '' or first[2] or ''
end
for i = 3, #KEYS do
  local job = redis.pcall('LINDEX', KEYS[i], -1)
  if type(job) ~= 'string' then job = '' end
  reply[#reply + 1] = string.sub(job, 1, tonumber(ARGV[1]))
  reply[#reply + 1] = #job
end
return reply
