-- Shared by the scripts that put a job of a set into its queue; no script of its own.
--
-- key_of_queue(job, default, prefix): the key of the queue that a payload names; of the default queue if it names none, or
-- is no payload. The payload is only read.
local function key_of_queue(job, default, prefix)
  local name = default
  local readable, parsed = pcall(cjson.decode, job)
  if readable and type(parsed) == 'table' and type(parsed.queue) == 'string' and parsed.queue ~= '' then
    name = parsed.queue
  end
  return prefix .. name
end

-- kind_of_queue(key): what lies under the key of a queue. In a cluster (own_queue, see cluster.lua) any queue but that of the
-- realm is 'elsewhere': its key must not be touched here.
local function kind_of_queue(key)
  if own_queue and key ~= own_queue then return 'elsewhere' end
  return redis.call('TYPE', key).ok
end

