-- Push jobs to a queue and name it in the registry of queues.
--
-- KEYS  1 queue list   2 registry   ARGV  1 name of the queue   2.. payloads; Lua can unpack about 8,000 values
-- Returns how many jobs wait in the queue. A spoilt registry keeps no job from it; with an error nothing was pushed.
redis.pcall('SADD', KEYS[2], ARGV[1])
return redis.call('LPUSH', KEYS[1], unpack(ARGV, 2))
