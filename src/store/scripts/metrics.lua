-- Add to the sums of a hash. As HINCRBY for each, in two commands whatever their number.
--
-- KEYS  1 a hash of sums
-- ARGV  a field and what is added to it, in pairs
-- Returns how many fields are new. A field that is no number is an error, and so is a key of another type: nothing is changed.
local fields, values = {}, {}
for i = 1, #ARGV, 2 do fields[#fields + 1] = ARGV[i] end
local sums = redis.call('HMGET', KEYS[1], unpack(fields))
for i = 1, #fields do
  local sum = tonumber(sums[i] or '0')
  if not sum then return redis.error_reply('ERR hash value is not an integer') end
  values[2 * i - 1], values[2 * i] = fields[i], string.format('%.0f', sum + tonumber(ARGV[2 * i]))
end
return redis.call('HSET', KEYS[1], unpack(values))
