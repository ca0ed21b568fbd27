-- Prepended to every script in a cluster; not a script on its own. There KEYS[1] is the guard of a queue's realm: a key that
-- never exists, for which a call is refused before it begins while its slot is being moved. The rest are the script's own.
local own_queue = string.match(KEYS[1], '^{(.*)}:')
local KEYS = {unpack(KEYS, 2)}
