-- Shared by the scripts that empty lists of jobs in flight part by part; no script of its own.

-- The newest jobs of a list, which stand at its right, the newest first: at most so many, and at most so many bytes, a single
-- larger one excepted. And whether these are all. How large they are is known only once they are read, so the first is read
-- alone and then as many as those were small.
local function newest(list, most, budget)
  local jobs, bytes, ahead = {}, 0, 1
  while #jobs < most and bytes < budget do
    ahead = math.min(ahead, most - #jobs)
    local read = redis.call('LRANGE', list, -#jobs - ahead, -#jobs - 1)
    for i = #read, 1, -1 do
      if #jobs > 0 and bytes + #read[i] > budget then return jobs, false end
      jobs[#jobs + 1], bytes = read[i], bytes + #read[i]
    end
    if #read < ahead then return jobs, true end
    ahead = math.max(1, math.min(4 * ahead, math.floor((budget - bytes) * #jobs / (bytes + 1))))
  end
  return jobs, false
end

-- Removes what `newest` gave, which is somewhere else by now.
local function remove_newest(list, jobs, are_all)
  if are_all then drop(list) else redis.call('LTRIM', list, 0, -#jobs - 1) end
end

