-- Bury the oldest payload of a list: of a shard's oversize list, larger than any handler gets, or of a dead shard's poison.
--
-- KEYS  1 oversize list ('<index>:o') or poison list ('<index>:p')   2 dead set   3 failures counter
-- ARGV  1 size of the payload as it was read   2 score   3 dead entry   4 dead set cutoff score   5 dead set size
-- Returns 1, or 0 if the list's oldest payload is not of that size (it was buried already).
local job = redis.call('LINDEX', KEYS[1], 0)
if not job or #job ~= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[4])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -(tonumber(ARGV[5]) + 1))
redis.call('LPOP', KEYS[1])
redis.call('INCRBY', KEYS[3], 1)
return 1
