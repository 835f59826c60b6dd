/**
 * The limits of a destination as Lua, each script one atomic step on the server's clock. All keys begin with
 * one base that has the destination as its hash tag, so that they are in one slot of a cluster:
 *
 * - base:meta run: the server's run_id; since: when grants may have been forgotten (ms), 0 for never; born:
 *   when these keys were begun (ms)
 * - base:meta, for windows longer than a minute: seq: number of the last grant; longest: window (ms);
 *   survived: after the last restart, 2 if the server certainly has all grants, 1 if it may have all, else 0;
 *   at: when a process was last seen before that restart
 * - base:members INSTANCE → when it was first and last seen (ms)
 * - base:pause scope → until when (ms)
 * - base:holder:PARTITION marker; gone a week after the partition was last at work
 * - base:void:INSTANCE the number of a take; that process gets nothing any more for this take and earlier
 *   ones
 * - base:slots scope → slots in use
 * - base:held LINE → slots of the destination that this sync holds
 * - base:leases leases by the time at which their slots expire
 * - base:lease lease → its open slots (n), what came back unused (u), scopes (s) and buckets (b), 1 for a
 *   probe (p), and of which line it is (l), as JSON
 * - base:windows:SCOPE window (ms) → limit and time when a request last came with it, "limit wanted"
 * - base:order:SCOPE|WINDOW the ends of the buckets (ms), oldest first
 * - base:count:SCOPE|WINDOW end of bucket → permits; t → the total of all
 * - base:breaker see breaker-scripts.ts
 * - base:waiting, base:got see fairness-scripts.ts
 *
 * A lease is called INSTANCE-NUMBER@DESTINATION: the process, and the number of its take.
 *
 * A bucket has permits that may be used up to its end, and counts until end + window. Times have 13 digits,
 * which Lua prints exactly only with `num`.
 */
import { MAX_PAUSE_MS } from '../port.ts'
import { KEEP_FOR_OTHERS, KEEP_PLACE } from './fairness-scripts.ts'
import { ASK_BREAKER, KEEP_PROBE } from './breaker-scripts.ts'
import { PRELUDE } from './script-prelude.ts'

/** The marker of an idle partition is remembered for this time: longer than a process is ever frozen. */
const HOLDER_LIFE_MS = 7 * 86_400_000
/** Windows up to this length are always waited out. */
export const LONG_MS = 60_000
/** A process with nothing to take shows itself once in this time. */
export const STAND_BY_EVERY_MS = 5_000
const TOUCH_EVERY_MS = 2_000
/** A process that was not seen for this long has died, or has nothing under way that could be lost. */
const MEMBER_LIFE_MS = 15_000
/** A log that is synced every second lags behind by less than this. */
const NEWCOMER_MS = 3_000
const VOUCH_POLL_MS = 1_000
/** A take lasts at most this long: TCP gives up after some 16 minutes. */
const VOID_LIFE_MS = 30 * 60_000

/**
 * A restarted or replaced server may have forgotten grants: a snapshot is older than the crash, a replica is
 * behind its master, and a log lacks its last two seconds if the machine died. So nothing is granted until
 * all grants that may be forgotten have expired. For windows longer than a minute that is long, though a
 * server that restarts in place with its log has mostly forgotten nothing. The processes can vouch for that:
 * each remembers the number of the last grant that it has seen, and the log keeps grants in order. If no
 * member has seen a missing grant, none is missing. Members are the processes that were seen in the last
 * seconds before the restart. A new process is granted nothing until it has been a member for longer than a
 * log can lag behind.
 *
 * A server whose keys somebody deleted has forgotten grants, too. Processes that saw the earlier keys notice
 * it.
 */
const LOOK = `
local function restartedInPlace(info, now, at)
  local persistence, replication = redis.call('INFO', 'persistence'), redis.call('INFO', 'replication')
  local startedAt = now - (tonumber(string.match(info, 'uptime_in_seconds:(%d+)')) + 1) * 1000
  return string.find(persistence, 'aof_enabled:1', 1, true) and string.find(replication, 'role:master', 1, true)
    and string.find(replication, 'master_replid2:' .. string.rep('0', 40), 1, true) and startedAt >= at - 2000
end

local function look(a, now)
  local info = redis.call('INFO', 'server')
  local run = string.match(info, 'run_id:(%w+)')
  local meta = redis.call('HMGET', base .. ':meta', 'run', 'since', 'born', 'seq', 'survived', 'at', 'longest')
  local s = { run = run, since = tonumber(meta[2] or '0'), born = tonumber(meta[3] or '0'),
    seq = tonumber(meta[4] or '0'), survived = meta[5] or '0', at = tonumber(meta[6] or '0'),
    longest = tonumber(meta[7] or '0') }
  if meta[1] ~= run then
    if meta[1] then
      local isOver = s.since == 0 or now >= s.since + s.longest + 60000
      -- Members that did not vouch after the restart before still have to.
      if isOver or s.survived ~= '1' then
        s.at = 0
        for _, times in ipairs(redis.call('HVALS', base .. ':members')) do
          s.at = math.max(s.at, tonumber(string.match(times, ' (%d+)$')))
        end
      end
      s.since = now
      s.survived = (isOver or s.survived ~= '0') and restartedInPlace(info, now, s.at) and '1' or '0'
    else
      s.born = now
      if not string.find(redis.call('INFO', 'persistence'), 'aof_enabled:1', 1, true) then
        s.since = now - tonumber(string.match(info, 'uptime_in_seconds:(%d+)')) * 1000
      end
    end
    redis.call('HSET', base .. ':meta', 'run', run, 'since', num(s.since), 'born', num(s.born),
      'survived', s.survived, 'at', num(s.at))
  end
  s.mark = run .. '/' .. num(s.born)
  local seenRun, seenBorn = string.match(a.seen, '^(%w+)/(%d+)$')
  if seenBorn and seenBorn ~= num(s.born) then
    if s.since < s.born and (seenRun == run or s.since == 0) then
      s.since, s.survived = s.born, '0'
      redis.call('HSET', base .. ':meta', 'since', num(s.since), 'survived', '0')
    end
  elseif a.seq > s.seq and s.survived ~= '0' then
    s.survived = '0'
    redis.call('HSET', base .. ':meta', 'survived', '0')
  end
  return s
end

-- A process that touches after a restart vouches, since look has compared its last number.
local function touch(a, s, now)
  local first, last = string.match(redis.call('HGET', base .. ':members', a.instance) or '', '^(%d+) (%d+)$')
  first, last = tonumber(first), tonumber(last)
  local mustVouch = last and last < s.since and last >= s.at - ${MEMBER_LIFE_MS}
  if not first or now - last > ${MEMBER_LIFE_MS} and not mustVouch then
    -- Without an earlier grant, nothing can be forgotten.
    first, last = s.seq == 0 and s.since == 0 and 0 or now, 0
    local all = redis.call('HGETALL', base .. ':members')
    for i = 1, #all, 2 do
      if now - tonumber(string.match(all[i + 1], ' (%d+)$')) > 3600000 then redis.call('HDEL', base .. ':members', all[i]) end
    end
  end
  if last < s.since or now - last > ${TOUCH_EVERY_MS} then
    redis.call('HSET', base .. ':members', a.instance, num(first) .. ' ' .. num(now))
  end
  return { first = first }
end

local function nothingIsLost(s)
  if s.survived ~= '1' then return s.survived == '2' end
  for _, times in ipairs(redis.call('HVALS', base .. ':members')) do
    local first, last = string.match(times, '^(%d+) (%d+)$')
    if tonumber(first) < s.since and tonumber(last) < s.since and tonumber(last) >= s.at - ${MEMBER_LIFE_MS} then return false end
  end
  s.survived = '2'
  redis.call('HSET', base .. ':meta', 'survived', '2')
  return true
end
`

/**
 * Settles returned leases. From `first` on, the arguments are triples of a lease, its open slots from now on,
 * and all its unused permits. A missing lease has expired.
 */
const SETTLE_RETURNED = `
local function settleReturned(first)
  for at = first, #ARGV, 3 do
    local lease = leaseOf(ARGV[at])
    if lease then settle(ARGV[at], lease, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])) end
  end
end
`

/**
 * KEYS: base. ARGV: a request as JSON, see redis.ts, and leases that came back before, as for GIVE_BACK.
 * Gives a mark of the keys (run_id and when they were begun), then 'granted' and permits, or a reason and the
 * wait in ms; the number of the last grant; the longest time that the wait may last. Last come flags of a
 * grant (1: a probe, 2: others have seen failures), or the state of the breaker: when it opened, failures,
 * failed probes, and how long ago the last one failed (-1: none has).
 */
export const TAKE = `${PRELUDE}${SETTLE_RETURNED}${LOOK}
local a = cjson.decode(ARGV[1])
local now = clock(a.offset)
settleReturned(2)

local server = look(a, now)
local mark, since = server.mark, server.since
local longest = 0
for _, scope in ipairs(a.scopes) do
  for _, rate in ipairs(scope.rates) do longest = math.max(longest, rate.windowMs) end
end
if longest > server.longest then
  server.longest = longest
  redis.call('HSET', base .. ':meta', 'longest', num(longest))
end

-- A take whose caller has left may arrive late. A take that arrives twice counts once.
if a.number <= tonumber(redis.call('GET', base .. ':void:' .. a.instance) or '0') then return { mark, 'void', 0, server.seq } end
local twin = leaseOf(a.lease)
if twin then return { mark, 'granted', twin.n, server.seq, 0, twin.p or 0 } end

local holder = base .. ':holder:' .. a.partition
local known = redis.call('GET', holder)
if known and tonumber(known) > a.marker then return { mark, 'superseded', 60000, server.seq } end
if not known or tonumber(known) < a.marker or redis.call('PTTL', holder) < ${HOLDER_LIFE_MS / 2} then
  redis.call('SET', holder, num(a.marker), 'PX', ${HOLDER_LIFE_MS})
end

local member = server.longest > ${LONG_MS} and touch(a, server, now)
if since > 0 then
  local forgotten, known = a.slotLife, member and nothingIsLost(server)
  for _, scope in ipairs(a.scopes) do
    for _, rate in ipairs(scope.rates) do
      if not (known and rate.windowMs > ${LONG_MS}) then forgotten = math.max(forgotten, rate.windowMs) end
    end
  end
  local left = since + forgotten + a.longestLife - now
  if left > 0 then
    -- Members that have to vouch do so within seconds.
    local waitMs = server.survived == '1' and not known and math.min(left, ${VOUCH_POLL_MS}) or left
    return { mark, 'forgotten', math.ceil(waitMs), server.seq, math.ceil(left) }
  end
end
if member and now - member.first < ${NEWCOMER_MS} then
  return { mark, 'newcomer', math.ceil(member.first + ${NEWCOMER_MS} - now), server.seq }
end

local pausedMs = 0
for _, scope in ipairs(a.scopes) do
  local untilMs = redis.call('HGET', base .. ':pause', scope.name)
  if untilMs then
    local left = tonumber(untilMs) - now
    if left <= 0 then redis.call('HDEL', base .. ':pause', scope.name) end
    -- A clock that was set back makes no pause longer.
    if left > ${MAX_PAUSE_MS} then
      left = ${MAX_PAUSE_MS}
      redis.call('HSET', base .. ':pause', scope.name, num(now + left))
    end
    pausedMs = math.max(pausedMs, left)
  end
end
if pausedMs > 0 then return { mark, 'paused', math.ceil(pausedMs), server.seq } end
${ASK_BREAKER}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. ':leases', '-inf', num(now), 'LIMIT', 0, 1000)) do
  local lease = leaseOf(id)
  if lease then settle(id, lease, 0, lease.u or 0) else redis.call('ZREM', base .. ':leases', id) end
end

local function grainOf(windowMs, limit)
  if limit <= 256 then return 1 end
  return math.max(1, math.floor(windowMs / 256))
end

local function totalOf(key, spanMs)
  local order, count = base .. ':order:' .. key, base .. ':count:' .. key
  while true do
    local oldest = redis.call('LINDEX', order, 0)
    if not oldest or tonumber(oldest) + spanMs > now then break end
    redis.call('LPOP', order)
    local permits = tonumber(redis.call('HGET', count, oldest) or '0')
    redis.call('HDEL', count, oldest)
    if permits > 0 then redis.call('HINCRBY', count, 't', num(-permits)) end
  end
  return tonumber(redis.call('HGET', count, 't') or '0')
end

-- Puts permits that may be used until atMs into the bucket of that time. Gives the bucket's end.
local function put(key, windowMs, limit, permits, atMs)
  local order, count = base .. ':order:' .. key, base .. ':count:' .. key
  local grain = grainOf(windowMs, limit)
  local bucket = num((math.floor(atMs / grain) + 1) * grain)
  local last = redis.call('LINDEX', order, -1)
  if last and tonumber(last) >= tonumber(bucket) then
    bucket = last
  else
    redis.call('RPUSH', order, bucket)
    local life = num(tonumber(bucket) - now + windowMs + 60000)
    redis.call('PEXPIRE', order, life)
    redis.call('PEXPIRE', count, life)
  end
  redis.call('HINCRBY', count, bucket, permits)
  redis.call('HINCRBY', count, 't', permits)
  return bucket
end

-- Runs that pinned different limits share a budget, so a grant counts in each window that any of them had of late; a new one starts with what
-- the longest of the others remembers.
local function windowsOf(scope)
  local key = base .. ':windows:' .. scope.name
  local all, longest = {}, nil
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local limit, wanted = string.match(flat[i + 1], '(%d+) (%d+)')
    local windowMs = tonumber(flat[i])
    if tonumber(wanted) + windowMs + a.longestLife < now - 60000 then
      redis.call('HDEL', key, flat[i])
    else
      all[flat[i]] = { ms = windowMs, limit = tonumber(limit), wanted = tonumber(wanted) }
      if not longest or windowMs > longest then longest = windowMs end
    end
  end
  for _, rate in ipairs(scope.rates) do
    local field = num(rate.windowMs)
    local window = all[field]
    if not window then
      window = { ms = rate.windowMs, limit = rate.requests, wanted = 0 }
      all[field] = window
      if longest then
        local from = scope.name .. '|' .. num(longest)
        totalOf(from, longest)
        for _, bucket in ipairs(redis.call('LRANGE', base .. ':order:' .. from, 0, -1)) do
          local permits = tonumber(redis.call('HGET', base .. ':count:' .. from, bucket) or '0')
          put(scope.name .. '|' .. field, rate.windowMs, rate.requests, permits, tonumber(bucket) - 1)
        end
      end
    end
    if window.limit ~= rate.requests or now - window.wanted > 1000 then
      window.limit = rate.requests
      redis.call('HSET', key, field, num(rate.requests) .. ' ' .. num(now))
    end
  end
  return all
end

local room, free, slots, inUse = a.want, 0, 0, 0
local rateWait, slotWait = 0, false
local windows = {}
for i, scope in ipairs(a.scopes) do
  windows[i] = windowsOf(scope)
  local used = tonumber(redis.call('HGET', base .. ':slots', scope.name) or '0')
  local left = scope.concurrency - used
  if left < 1 then slotWait = true end
  for _, rate in ipairs(scope.rates) do
    local key, span = scope.name .. '|' .. num(rate.windowMs), rate.windowMs
    local total = totalOf(key, span)
    left = math.min(left, rate.requests - total)
    if total >= rate.requests then
      for _, bucket in ipairs(redis.call('LRANGE', base .. ':order:' .. key, 0, -1)) do
        total = total - tonumber(redis.call('HGET', base .. ':count:' .. key, bucket) or '0')
        if total < rate.requests then
          rateWait = math.max(rateWait, tonumber(bucket) + span - now)
          break
        end
      end
    end
  end
  room = math.min(room, left)
  if i == 1 then free, slots, inUse = left, scope.concurrency - used, used end
end
${KEEP_FOR_OTHERS}
if room < 1 then
  if free < 1 or isOver then waits(slotWait and a.poll or rateWait) end
  if not slotWait then return { mark, 'rate', math.max(1, math.ceil(rateWait)), server.seq } end
  local first = redis.call('ZRANGE', base .. ':leases', 0, 0, 'WITHSCORES')
  local slotMs = first[2] and tonumber(first[2]) - now or 1
  return { mark, 'concurrency', math.max(1, math.ceil(math.max(rateWait, math.min(slotMs, a.poll)))), server.seq }
end

${KEEP_PLACE}local lease = { n = room, u = 0, s = {}, b = {}, p = probe and 1 or nil, l = a.line }
${KEEP_PROBE}redis.call('HINCRBY', base .. ':held', a.line, room)
for i, scope in ipairs(a.scopes) do
  table.insert(lease.s, scope.name)
  redis.call('HINCRBY', base .. ':slots', scope.name, room)
  for field, window in pairs(windows[i]) do
    local key = scope.name .. '|' .. field
    table.insert(lease.b, { key, put(key, window.ms, window.limit, room, now + a.leaseLife) })
  end
end
redis.call('ZADD', base .. ':leases', num(now + a.leaseLife + a.slotLife), a.lease)
redis.call('HSET', base .. ':lease', a.lease, cjson.encode(lease))
return { mark, 'granted', room, redis.call('HINCRBY', base .. ':meta', 'seq', 1), 0, (lease.p or 0) + failing }
`

/**
 * KEYS: base. ARGV: leases, each with its open slots from now on, and all its unused permits.
 */
export const GIVE_BACK = `${PRELUDE}${SETTLE_RETURNED}
settleReturned(1)
return 1
`

/**
 * KEYS: base. ARGV: the leases of a process, as JSON, see LeaseBook. The process never got the answer of
 * older grants that it does not name, so none of them was used.
 */
export const RECONCILE = `${PRELUDE}
local a = cjson.decode(ARGV[1])
local void = base .. ':void:' .. a.instance
if a.void > tonumber(redis.call('GET', void) or '0') then redis.call('SET', void, num(a.void), 'PX', ${VOID_LIFE_MS}) end
local pending = {}
for _, number in ipairs(a.pending) do pending[number] = true end
for _, id in ipairs(redis.call('HKEYS', base .. ':lease')) do
  local number = string.sub(id, 1, #a.instance + 1) == a.instance .. '-' and tonumber(string.match(id, '^%w+%-(%d+)@'))
  if number and number <= a.upTo and not pending[number] then
    local lease, kept = leaseOf(id), a.kept[tostring(number)]
    if kept then settle(id, lease, kept[1], kept[2]) else settle(id, lease, 0, (lease.u or 0) + lease.n) end
  end
end
return 1
`

/**
 * KEYS: base. ARGV: a process, as JSON, with the last mark and number that it has seen of a destination with
 * long windows. Keeps the process a member, and vouches after a restart. Gives a mark and the number of the
 * last grant.
 */
export const STAND_BY = `${PRELUDE}${LOOK}
local a = cjson.decode(ARGV[1])
local now = clock(a.offset)
local server = look(a, now)
touch(a, server, now)
return { server.mark, 'granted', 0, server.seq }
`

/** KEYS: base. ARGV: a process that ends in good order. */
export const LEAVE = `${PRELUDE}
return redis.call('HDEL', base .. ':members', ARGV[1])
`

/** KEYS: base. ARGV: scope, length of the pause (ms), offset of the clock (ms). */
export const PAUSE = `${PRELUDE}
local untilMs = clock(tonumber(ARGV[3])) + math.ceil(tonumber(ARGV[2]))
local known = redis.call('HGET', base .. ':pause', ARGV[1])
if not known or tonumber(known) < untilMs then
  redis.call('HSET', base .. ':pause', ARGV[1], num(untilMs))
end
return 1
`
