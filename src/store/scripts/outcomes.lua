-- Find the last runs of periodic jobs (lives.lua). Changes nothing.
--
-- KEYS  1 leases   2 retry set   3 scheduled set   4 dead set
-- ARGV  1 largest job to tell of, in bytes   2 seconds by which the clocks of workers may differ from that of Redis   3 ''
--       4..10 what to look at in all (cron.lua)
--       11.. for each job four: its jid   the key of its queue   its bytes as it was pushed, '' not known   when it was
--       pushed, Unix seconds
--
-- Returns an array, for each job two: the place it is in: 'queue', 'in flight', 'retry', 'scheduled', 'dead', '' in none, '?' in
-- none that this call looked at, nil this call has looked at enough: ask again; and its bytes as they are there, if it is in
-- a set and not too large, else ''.
-- A job dies later than it is pushed, so of the dead set those matter that are younger.
local jobs = {}
for at = 11, #ARGV, 4 do jobs[#jobs + 1] = {ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])} end

local told = {}
tell_of = function(jid, job)
  if place ~= 'queue' and place ~= 'in flight' and #job <= tonumber(ARGV[1]) then told[jid] = job end
end

-- Whether a set was not read to its end; and since when all deaths were seen.
local sets_partly, dead_since = false, nil
local function after_set(is_read) sets_partly = sets_partly or not is_read end
local function after_dead(is_read, back)
  if is_read then return end
  local oldest = back > 0 and redis.call('ZRANGE', KEYS[4], -back, -back, 'WITHSCORES')
  dead_since = oldest and tonumber(oldest[2]) or math.huge
end

local sets = {{KEYS[2], 'retry', after_set}, {KEYS[3], 'scheduled', after_set}, {KEYS[4], 'dead', after_dead}}
if #jobs > 0 then begin_look(jobs, sets, KEYS[1]) end

local reply = {}
for _, job in ipairs(jobs) do
  local jid, queue = job[1], job[2]
  local found = lives(queue, jid, job[3])
  if found == false then
    local is_partly = sets_partly or partly[queue] or #unread[queue] > 0
    local may_be_dead = dead_since and dead_since > job[4] - tonumber(ARGV[2])
    found = (is_partly or may_be_dead) and '?' or ''
  end
  reply[#reply + 1] = found or false
  reply[#reply + 1] = told[jid] or ''
end
return reply
