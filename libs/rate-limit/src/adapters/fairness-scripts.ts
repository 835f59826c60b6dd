/**
 * How processes take turns, as Lua for the script of a take. Permits often come free all at once. Whoever
 * asked first would then take all of them, each time. So those who have waited for a while have their share
 * kept for them.
 *
 * - base:waiting LINE → since when it waits for the limits of the destination, until when it is sure to have
 *   asked again, and how many permits it wants, as "since until want". A LINE is the requests of one sync in
 *   one process.
 */

/** Who waits for less needs no turn: permits that come free one by one are shared by chance. */
const PATIENCE_MS = 250
/** How late a process may ask again. */
const GRACE_MS = 150
/** How soon to ask again where all that is free is kept for others. */
const KEPT_POLL_MS = 5
const FORGOTTEN_MS = 60_000

/** Wants `a`, `now`, `room`, and `free`: what the destination's own scope has. Lowers `room`. */
export const KEEP_FOR_OTHERS = `
local waiting, line = base .. ':waiting', a.instance .. '|' .. a.line
local ownSince, isKept = nil, false
local function keepForOthers()
  local all, others = redis.call('HGETALL', waiting), {}
  for i = 1, #all, 2 do
    local since, due, want = string.match(all[i + 1], '^(%d+) (%d+) (%d+)$')
    if all[i] == line then ownSince = tonumber(since)
    elseif tonumber(due) < now then redis.call('HDEL', waiting, all[i])
    elseif tonumber(since) + ${PATIENCE_MS} <= now then table.insert(others, tonumber(want)) end
  end
  if #others == 0 then return end
  local isPatient = ownSince and ownSince + ${PATIENCE_MS} <= now
  local share, kept = math.ceil(free / (#others + (isPatient and 1 or 0))), 0
  for _, want in ipairs(others) do kept = kept + math.min(want, share) end
  isKept = free >= 1 and free - kept < 1
  room = math.min(room, free - kept)
end
if free >= 1 then keepForOthers() else
  local own = redis.call('HGET', waiting, line)
  ownSince = own and tonumber(string.match(own, '^(%d+)'))
end

local function waits(ms)
  local since = ownSince or now
  redis.call('HSET', waiting, line, num(since) .. ' ' .. num(now + ms + ${GRACE_MS}) .. ' ' .. num(math.min(a.want, 1000000)))
  redis.call('PEXPIRE', waiting, ${FORGOTTEN_MS})
end
if isKept then
  waits(${KEPT_POLL_MS})
  return { mark, 'rate', ${KEPT_POLL_MS}, server.seq }
end
`
