/**
 * Lets processes take turns, as Lua for the script of a take. Permits often come free all at once, and the
 * first process that asks would take all of them, each time. So the script keeps a share for lines that have
 * waited for a while.
 *
 * - base:waiting LINE → when it began to wait for the limits of the destination, when it has asked again at
 *   the latest, and how many permits it wants, as "since until want". A LINE is the requests of one sync in
 *   one process.
 * - base:got LINE → how many permits it got since it was last refused
 */
import { HELD_PER_FREE } from '../port.ts'

/** A line that waits for less needs no turn: permits that come free one by one are shared by chance. */
const PATIENCE_MS = 250
/** A line keeps its place if it asks again at most this much too late. */
const GRACE_MS = 150
/** After this time a partition asks again if all free permits are kept for others. */
const KEPT_POLL_MS = 5
const FORGOTTEN_MS = 60_000

/**
 * A process is told in whole milliseconds when to ask again. So two times that differ by at most this count
 * as equal.
 */
const SAME_TIME_MS = 20

/**
 * Needs `a`, `now`, `room`, and three numbers of the destination's own scope: `free`, its free permits;
 * `slots`, the free slots of its concurrency alone; `inUse`, its taken slots. Lowers `room`. `isOver` is true
 * if the free slots are for others, see `mostSlots`.
 *
 * Lines that have waited share the free permits as evenly as possible. The remainder goes to them one by one,
 * from the line that has waited longest. So some of them always get something. A line counts only from the
 * time at which it was told to ask again. Permits that a return frees earlier go to lines that ask earlier.
 *
 * A line that gets less than it wants, because the rate had no more, is expected again at once, behind lines
 * that have waited. Its permits count as its share of the permits that come free next. So permits that come
 * free a few milliseconds apart are shared as if they came together.
 */
export const KEEP_FOR_OTHERS = `
-- A process of an earlier version ends leases of others without the slots of their lines.
if inUse == 0 then redis.call('DEL', base .. ':held') end
local byRate = free < slots
local function mostSlots(line)
  local held = tonumber(redis.call('HGET', base .. ':held', line) or '0')
  if line == '' or not (a.shared or inUse > held) then return math.huge end
  local lines = redis.call('HLEN', base .. ':held') + (held == 0 and 1 or 0)
  local beyond = math.floor((${HELD_PER_FREE} * slots - held) / ${HELD_PER_FREE + 1})
  return math.min(slots, math.max(math.ceil((slots + inUse) / math.max(2, lines)) - held, beyond))
end
local most = mostSlots(a.line)
local isOver = most < 1
room, slotWait = math.min(room, most), slotWait or isOver
local waiting, gotten, line = base .. ':waiting', base .. ':got', a.instance .. '|' .. a.line
local own, isKept, isPatient, offered = nil, false, false, free
local function parsed(text, name)
  local since, due, want = string.match(text, '^(%d+) (%d+) (%d+)$')
  return { since = tonumber(since), due = tonumber(due), want = tonumber(want), got = 0, line = name }
end
local function leavesLine(name)
  redis.call('HDEL', waiting, name)
  redis.call('HDEL', gotten, name)
end
local function isBefore(one, other)
  if one.since ~= other.since then return one.since < other.since end
  return one.line < other.line
end
-- Gives the share of each of these lines, together with the permits that it got before, and how many lines get one more.
local function levelOf(lines)
  local sum = free
  for _, each in ipairs(lines) do sum = sum + each.got end
  while true do
    local level, below = math.floor(sum / #lines), {}
    for _, each in ipairs(lines) do
      if each.got <= level then table.insert(below, each) else sum = sum - each.got end
    end
    if #below == #lines then return level, sum - level * #lines end
    lines = below
  end
end
local function keepForOthers()
  local all, lines = redis.call('HGETALL', waiting), {}
  for i = 1, #all, 2 do
    local one = parsed(all[i + 1], all[i])
    if one.line == line then own = one
    elseif one.due < now then leavesLine(one.line)
    elseif one.since + ${PATIENCE_MS} <= now and one.due - ${GRACE_MS} <= now + ${SAME_TIME_MS} then
      one.most = mostSlots(string.match(one.line, '|(.*)$') or '')
      if one.most >= 1 then table.insert(lines, one) end
    end
  end
  isPatient = own and own.since + ${PATIENCE_MS} <= now
  if #lines == 0 then return end
  if isPatient then table.insert(lines, own) end
  for _, one in ipairs(lines) do one.got = tonumber(redis.call('HGET', gotten, one.line) or '0') end
  table.sort(lines, isBefore)
  local level, over = levelOf(lines)
  local kept = 0
  for _, one in ipairs(lines) do
    if one.got <= level then
      local share = level - one.got + (over > 0 and 1 or 0)
      over = over - 1
      if one ~= own then kept = kept + math.min(one.want, share, one.most) end
    end
  end
  offered = free - kept
  isKept = free >= 1 and offered < 1
  room = math.min(room, offered)
end
if free >= 1 then keepForOthers() else
  local text = redis.call('HGET', waiting, line)
  own = text and parsed(text, line)
end

local function asksAgain(since, ms, want)
  local by, most = now + ms + ${GRACE_MS}, math.min(want, 1000000)
  redis.call('HSET', waiting, line, num(since) .. ' ' .. num(by) .. ' ' .. num(most))
  redis.call('PEXPIRE', waiting, ${FORGOTTEN_MS})
end
local function waits(ms) asksAgain(own and own.since or now, ms, a.want) end
if isKept and not isOver then
  waits(${KEPT_POLL_MS})
  return { mark, 'rate', ${KEPT_POLL_MS}, server.seq }
elseif own and free < 1 then
  redis.call('HDEL', gotten, line)
end
`

/** Needs `room`. The line gets all of it. */
export const KEEP_PLACE = `
if own and isPatient and byRate and room < a.want and room == offered then
  asksAgain(now - ${PATIENCE_MS}, 0, a.want - room)
  redis.call('HINCRBY', gotten, line, room)
  redis.call('PEXPIRE', gotten, ${FORGOTTEN_MS})
elseif own then
  leavesLine(line)
end
`
