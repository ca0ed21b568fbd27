-- Delete the heartbeat key of a process that has not renewed it for too long.
--
-- KEYS  1 heartbeat key
-- ARGV  1 the least time to live, in milliseconds, that the key of a living process has left
-- A key that never expires does not belong to a living process either: each heartbeat sets its time to live.
-- Returns 1, or 0 if the process lives or the key is gone.
local left = redis.call('PTTL', KEYS[1])
if left == -2 or left >= tonumber(ARGV[1]) then return 0 end
return redis.call('UNLINK', KEYS[1])
