-- Takes names of what is gone out of the register: one call, one reply.
--
-- KEYS  1 a set of the register   2… what the names stand for, in their order
-- ARGV  1 a name whose score is above that stays: someone has named it since   2… names, at most 500
-- Returns how many went.
-- All is read before the one change, which is also the last call.
local gone = {}
for at = 2, #KEYS do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[at])
  if score and tonumber(score) <= tonumber(ARGV[1]) and redis.call('EXISTS', KEYS[at]) == 0 then
    gone[#gone + 1] = ARGV[at]
  end
end
if #gone == 0 then return 0 end
return redis.call('ZREM', KEYS[1], unpack(gone))
