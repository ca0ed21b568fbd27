-- Delete a whole queue, set or counter.
--
-- KEYS  1 the key
-- ARGV  1 its type: 'list', 'zset' or 'string'
-- A key of another type is left alone: it is not what it was taken for.
--
-- Returns how many entries it had, or the value of the counter; 0 if there is none.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return 0 end
if kind ~= ARGV[1] then
  return redis.error_reply('WRONGTYPE ' .. KEYS[1] .. ' is a ' .. kind .. ', not a ' .. ARGV[1] .. ', so it was left alone')
end
local count
if kind == 'list' then
  count = redis.call('LLEN', KEYS[1])
elseif kind == 'zset' then
  count = redis.call('ZCARD', KEYS[1])
else
  count = tonumber(redis.call('GET', KEYS[1])) or 0
end
-- Freed in the background: a list of a million jobs would hold Redis up.
redis.call('UNLINK', KEYS[1])
return count
