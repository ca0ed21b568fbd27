-- Replace what is paused, if it still is what the caller has read, and tell every process.
--
-- KEYS  1 what is paused (string)
-- ARGV  1 what the caller has read; '' no key   2 what is paused from now on; '' no key   3 the channel of the bell
-- Returns how many heard the bell; -1 if something else is stored: nothing was changed.
-- The bell comes first: who hears it reads after this script, and one that may not be rung leaves everything as it is.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return -1 end
local heard = redis.call('PUBLISH', ARGV[3], 'paused')
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
return heard
