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

