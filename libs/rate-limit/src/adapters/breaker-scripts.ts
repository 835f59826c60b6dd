/**
 * The breaker of a destination as Lua, for the scripts of redis-scripts.ts. Its key has the destination as
 * hash tag, too:
 *
 * - base:breaker n: failures of all processes since a request of any process was served; own:INSTANCE → how
 *   often requests of that process were served after failures, and its failures since, as "streak failures";
 *   trial:INSTANCE → "until lease" of the one request that a process without failures may send; open:WHO →
 *   when the breaker opened (since), when its pause ends (till), failed probes, when the last failed, and the
 *   lease of the probe, as JSON. WHO is * for all processes with failures of their own, or one INSTANCE that
 *   fails though others are served.
 *
 * Evidence has totals of a process, so that evidence that arrives twice or late changes nothing.
 */
import { BROKEN_POLL_MS, EVIDENCE_LIFE_MS } from './breaker.ts'
import { PRELUDE } from './script-prelude.ts'

/** Defines `breakerOf` and `keepOpening`. Needs `base` and `num`. */
const BREAKER = `
local function breakerOf(instance)
  local found = redis.call('HMGET', base .. ':breaker', 'n', 'own:' .. instance, 'open:*', 'open:' .. instance,
    'trial:' .. instance)
  local streak, own = string.match(found[2] or '', '^(%d+) (%d+)$')
  local trialUntil, trial = string.match(found[5] or '', '^(%d+) (.*)$')
  local b = { n = tonumber(found[1] or '0'), streak = tonumber(streak or '0'), own = tonumber(own or '0'),
    all = found[3] and cjson.decode(found[3]), alone = found[4] and cjson.decode(found[4]),
    trialUntil = tonumber(trialUntil or '0'), trial = trial }
  if b.all then b.who, b.opening = '*', b.all
  elseif b.own > 0 and b.alone then b.who, b.opening = instance, b.alone end
  return b
end

local function keepOpening(who, opening)
  redis.call('HSET', base .. ':breaker', 'open:' .. who, cjson.encode(opening))
end
`

/**
 * Asks the breaker within a take. Sets `probe` to the WHO of the probe, or to 'trial', and `failing` to 2 if
 * there is evidence of failures. Returns from the script if the breaker is open.
 */
export const ASK_BREAKER = `${BREAKER}
local breaker = a.breaker and breakerOf(a.instance)
local probe, failing = nil, 0
if breaker then
  if breaker.n > 0 then failing = 2 end
  local opening = breaker.opening
  if opening then
    -- A clock that was set back makes no pause longer.
    if opening.holder == '' then opening.till = math.min(opening.till, now + a.breaker.pauseMs) end
    if opening.till <= now then probe = breaker.who
    elseif breaker.own == 0 and breaker.trialUntil <= now then probe = 'trial'
    else
      local left = opening.till - now
      local ago = opening.last > 0 and math.max(0, now - opening.last) or -1
      return { mark, 'broken', math.ceil(math.max(1, math.min(left, ${BROKEN_POLL_MS}))), server.seq, math.ceil(left),
        num(opening.since) .. ' ' .. num(breaker.who == '*' and breaker.n or breaker.own) .. ' ' .. num(opening.probes) .. ' ' .. num(ago) }
    end
    a.want = 1
  end
end
`

/** Notes the lease of a probe within a take. */
export const KEEP_PROBE = `
if probe then
  local slotUntil = now + a.leaseLife + a.slotLife
  if probe == 'trial' then
    redis.call('HSET', base .. ':breaker', 'trial:' .. a.instance, num(slotUntil) .. ' ' .. a.lease)
  else
    breaker.opening.holder, breaker.opening.till = a.lease, slotUntil
    keepOpening(probe, breaker.opening)
  end
end
`

/** KEYS: base. ARGV: evidence of a process, as JSON, see redis.ts. */
export const TELL = `${PRELUDE}${BREAKER}
local a = cjson.decode(ARGV[1])
local now = clock(a.offset)
local key = base .. ':breaker'
local b = breakerOf(a.instance)
if a.streak < b.streak then return 1 end
if a.streak > b.streak then
  redis.call('HDEL', key, 'n', 'open:*', 'open:' .. a.instance, 'trial:' .. a.instance)
  b.n, b.own, b.all, b.alone, b.trial = 0, 0, nil, nil, nil
end
if a.failures > b.own then b.n = b.n + a.failures - b.own end
b.own = math.max(b.own, a.failures)
redis.call('HSET', key, 'n', num(b.n), 'own:' .. a.instance, num(a.streak) .. ' ' .. num(b.own))

local function probed(who, opening)
  if not opening or opening.holder ~= a.probe.lease then return end
  opening.holder, opening.till = '', now
  if a.probe.ended == 'failed' then
    opening.till, opening.probes, opening.last = now + a.rule.pauseMs, opening.probes + 1, now
  end
  keepOpening(who, opening)
end
if a.probe then
  if b.trial == a.probe.lease then redis.call('HDEL', key, 'trial:' .. a.instance) end
  probed('*', b.all)
  probed(a.instance, b.alone)
end

local function open(who)
  keepOpening(who, { since = now, till = now + a.rule.pauseMs, probes = 0, last = 0, holder = '' })
end
if b.n >= a.rule.failures and not b.all then open('*') end
if b.own >= a.rule.failures and not b.alone then open(a.instance) end
redis.call('PEXPIRE', key, math.max(${EVIDENCE_LIFE_MS}, 2 * a.rule.pauseMs))
return 1
`
