-- Push those jobs of an outbox that their target does not have yet.
--
-- KEYS  1 queue list, or scheduled set   2 marker: the number of the last job of this outbox that the target has got
--       3 where one is kept, the registry of queues: the list's name, behind its first colon, is in it
-- ARGV  1 seconds the marker is kept   2.. for each job, in the order of their numbers: number, score ('': KEYS[1] is a
--       queue), payload
-- A job up to the marker was pushed before: by a call whose answer was lost, or by a later one, if this call was delayed on
-- its way. Job and marker change in one step, so they are lost together too, should the server lose its last writes.
--
-- Returns how many jobs were pushed now. With an error none was.
local before = redis.call('GET', KEYS[2]) or '0'
local last = before
local command = {}
local pushed = 0
for i = 2, #ARGV, 3 do
  if tonumber(ARGV[i]) > tonumber(last) then
    last = ARGV[i]
    pushed = pushed + 1
    if ARGV[i + 1] ~= '' then command[#command + 1] = ARGV[i + 1] end
    command[#command + 1] = ARGV[i + 2]
  end
end
-- The marker first, because it can be reset with the call that has just been allowed.
redis.call('SET', KEYS[2], last, 'EX', ARGV[1])
if pushed == 0 then return 0 end
if KEYS[3] then redis.pcall('SADD', KEYS[3], (string.gsub(KEYS[1], '^[^:]*:', ''))) end
local done = redis.pcall(ARGV[3] == '' and 'LPUSH' or 'ZADD', KEYS[1], unpack(command))
if type(done) == 'table' then
  redis.call('SET', KEYS[2], before, 'EX', ARGV[1])
  return done
end
return pushed
