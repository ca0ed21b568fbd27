-- Which of these calls may the connection's user not make? Nothing is called and no key is touched.
-- KEYS: none, for a user is asked for a right to each of KEYS before the script runs
-- ARGV: one call each, its words divided by line feeds
-- Result: the positions in ARGV, from 1, of those that are refused; none from a server that cannot tell (before 7.0)
local refused = {}
if not redis.acl_check_cmd then return refused end
for at = 1, #ARGV do
  local words = {}
  for word in string.gmatch(ARGV[at], '[^\n]+') do words[#words + 1] = word end
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  if known and not allowed then refused[#refused + 1] = at end
end
return refused
