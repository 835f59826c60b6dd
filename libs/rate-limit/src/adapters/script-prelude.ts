/** The beginning of each script of the limits: numbers, the clock, leases. */
export const PRELUDE = `
local base = KEYS[1]
local function num(x) return string.format('%.0f', x) end

local function clock(offset)
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000) + offset
end

local function leaseOf(id)
  local found = redis.call('HGET', base .. ':lease', id)
  return found and cjson.decode(found)
end

-- Sets the open slots of a lease, and its unused permits of all returns. Both are totals, so that a return that
-- arrives twice, late or out of turn changes nothing.
local function settle(id, lease, open, unused)
  local freed = lease.n - open
  if freed <= 0 then return end
  local back = math.min(freed, math.max(0, unused - (lease.u or 0)))
  if back > 0 then
    for _, bucket in ipairs(lease.b) do
      local count = base .. ':count:' .. bucket[1]
      local permits = math.min(tonumber(redis.call('HGET', count, bucket[2]) or '0'), back)
      if permits > 0 then
        redis.call('HINCRBY', count, bucket[2], -permits)
        redis.call('HINCRBY', count, 't', -permits)
      end
    end
  end
  for _, scope in ipairs(lease.s) do
    if redis.call('HINCRBY', base .. ':slots', scope, -freed) <= 0 then redis.call('HDEL', base .. ':slots', scope) end
  end
  if lease.l and redis.call('HINCRBY', base .. ':held', lease.l, -freed) <= 0 then redis.call('HDEL', base .. ':held', lease.l) end
  if open == 0 then
    redis.call('HDEL', base .. ':lease', id)
    redis.call('ZREM', base .. ':leases', id)
  else
    lease.n, lease.u = open, unused
    redis.call('HSET', base .. ':lease', id, cjson.encode(lease))
  end
end
`
