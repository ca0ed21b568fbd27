-- Bury the oldest payload of a list: of a shard's oversize list, larger than any handler gets, or a dead shard's poison list.
--
-- KEYS  1 oversize list ('<index>:o') or poison list ('<index>:p')   2 dead set   3 failures counter
-- ARGV  1 size of the payload as it was read   2 score   3 dead set cutoff score   4 dead set size   5.. dead entries: one, or
--       parts of one that would be larger than a string may be
-- Returns 1; 2 if the failures counter is spoilt, so that this one is not counted; 0 if the list's oldest payload does not
-- have that size (it was already buried). On an error nothing was changed, for example when the dead set is not a set.
local job = redis.call('LINDEX', KEYS[1], 0)
if not job or #job ~= tonumber(ARGV[1]) then return 0 end
job = nil

local function bury()
  for i = 5, #ARGV do add(KEYS[2], ARGV[2], ARGV[i]) end
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[3])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -(tonumber(ARGV[4]) + 1))
  local uncounted = count(KEYS[3], 1)
  redis.call('LPOP', KEYS[1])
  return uncounted and 2 or 1
end
local buried, refusal = whole(bury)
return buried or refusal
