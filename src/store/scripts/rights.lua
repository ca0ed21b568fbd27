-- Which of these calls may the connection's user not make, and which does the server not know? Nothing is called and no key
-- is touched.
-- KEYS: none, because a user is checked for a right to each of KEYS before the script runs
-- ARGV: one call each, its words separated by line feeds
-- Result: the positions in ARGV, from 1, of those that are refused, and below 0 the positions of those whose command does
-- not exist: renamed away, or withheld by a proxy. Before 7.0 no server can say what it refuses; it may say what it knows.
local result = {}
for at = 1, #ARGV do
  local words = {}
  for word in string.gmatch(ARGV[at], '[^\n]+') do words[#words + 1] = word end
  if redis.acl_check_cmd then
    local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
    if not known then
      result[#result + 1] = -at
    elseif not allowed then
      result[#result + 1] = at
    end
  else
    -- A user without the right to ask learns nothing.
    local entries = redis.pcall('COMMAND', 'INFO', words[1])
    if not entries.err and not entries[1] then result[#result + 1] = -at end
  end
end
return result
