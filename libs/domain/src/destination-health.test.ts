import { describe, expect, it } from 'vitest'
import {
  destinationHealthOf,
  type DestinationFacts,
  failureInWords,
  kindOfFailure,
  unusableBy,
} from './destination-health.ts'

const NOW = Date.parse('2026-11-30T12:00:00Z')
const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** A destination that took this many requests, with these errors, a minute ago. */
function facts(
  delivered: number,
  errors: { readonly [kind: string]: number } = {},
  more: Partial<DestinationFacts> = {},
): DestinationFacts {
  const sums = { delivered, throttled: 0, rowsDelivered: delivered, rowsRejected: 0 }
  return {
    ...{
      unusable: null,
      credentials: null,
      waits: [],
      stopped: null,
      wasUsed: true,
      lastAttemptAt: NOW - MINUTE,
    },
    sums: { ...sums, errors: new Map(Object.entries(errors)) },
    ...more,
  }
}

const told = (of: DestinationFacts): readonly string[] => {
  const { state, reason } = destinationHealthOf(of, NOW)
  return [state, reason]
}

describe('a destination by its attempts', () => {
  it.each([
    [facts(20), 'healthy', 'The last 20 requests arrived.'],
    [facts(99, { 'HTTP 503': 1 }), 'healthy', '99 of the last 100 requests arrived.'],
    [facts(95, { 'HTTP 503': 5 }), 'degraded', '5 of the last 100 requests failed: HTTP 503.'],
    [
      facts(50, { 'HTTP 503': 48, ECONNRESET: 2 }),
      'failing',
      '50 of the last 100 requests failed: HTTP 503 (48), ECONNRESET (2).',
    ],
    [
      facts(0, { 'HTTP 401': 1 }),
      'failing',
      'The last request failed: HTTP 401, it refuses the credentials.',
    ],
    [
      facts(0, { ECONNREFUSED: 7 }),
      'failing',
      'All of the last 7 requests failed: ECONNREFUSED, nothing listens at its address.',
    ],
  ])('is judged with its reason (%#)', (of, state, reason) => {
    expect(told(of)).toEqual([state, reason])
  })

  it('is only degraded by one or two rejected requests, which may be the fault of their rows', () => {
    expect(told(facts(0, { 'HTTP 422': 2 }))[0]).toBe('degraded')
    expect(told(facts(0, { 'HTTP 422': 3 }))[0]).toBe('failing')
  })

  it('fails if it takes batches and rejects their rows', () => {
    const { sums } = facts(10)
    const rejecting = facts(10, {}, { sums: { ...sums, rowsDelivered: 100, rowsRejected: 900 } })
    expect(told(rejecting)).toEqual(['failing', 'It rejected 900 of the last 1000 rows.'])
  })

  it('keeps its state for a day, and then nothing is known of it', () => {
    expect(told(facts(0, { 'HTTP 401': 9 }, { lastAttemptAt: NOW - 23 * HOUR }))[0]).toBe('failing')
    expect(told(facts(0, { 'HTTP 401': 9 }, { lastAttemptAt: NOW - 25 * HOUR }))[0]).toBe('idle')
    expect(told(facts(0, {}, { lastAttemptAt: null }))[0]).toBe('idle')
    expect(told(facts(0, {}, { lastAttemptAt: null, wasUsed: false }))[0]).toBe('unused')
  })
})

it('a destination is judged, too, if a foreign writer reports times that are no dates', () => {
  const pause = { kind: 'throttled', until: 1e300, detail: 'the API asked for a pause' } as const
  const health = destinationHealthOf(facts(9, {}, { waits: [pause], lastAttemptAt: 1e300 }), NOW)
  expect(health).toMatchObject({ state: 'paused', until: null, lastAttemptAt: null })
})

describe('a destination to which nothing can be sent', () => {
  const breaker = { kind: 'breaker', until: NOW + MINUTE, detail: 'the breaker is open' } as const
  const pause = { kind: 'throttled', until: NOW + MINUTE, detail: 'the API asked for a pause' } as const

  it('pauses for the API, or has an open breaker, as long as a run waits for it', () => {
    const paused = destinationHealthOf(facts(9, {}, { waits: [pause] }), NOW)
    expect(paused).toMatchObject({ state: 'paused', until: '2026-11-30T12:01:00.000Z' })
    expect(told(facts(9, {}, { waits: [pause, breaker] }))).toEqual(['breaker-open', 'The breaker is open.'])
  })

  it('keeps an open breaker for an hour after its run, and fails then', () => {
    const stopped = { by: 'breaker', detail: 'the breaker is open', at: NOW - MINUTE } as const
    const errors = { ECONNREFUSED: 50 }
    expect(told(facts(0, errors, { stopped }))[0]).toBe('breaker-open')
    expect(told(facts(0, errors, { stopped: { ...stopped, at: NOW - 2 * HOUR } }))[0]).toBe('failing')
  })

  it('cannot be used without a secret or a login, and says what mends it', () => {
    const missing = unusableBy(
      'The secret `crm` is not set: set the environment variable SLUICE_SECRET_CRM, or keep it with `sluice secret set crm`.',
    )
    expect(missing).toEqual({
      reason: 'The secret `crm` is not set.',
      fix: { act: 'set-secret', name: 'crm' },
    })
    const login = 'Destination `d`: no token, since nobody has logged in yet: `sluice auth d` logs in.'
    expect(unusableBy(login)).toEqual({
      reason: 'Destination `d`: no token, since nobody has logged in yet.',
      fix: { act: 'log-in', name: 'd' },
    })
    const wait = { kind: 'token', until: null, detail: login } as const
    expect(destinationHealthOf(facts(9, {}, { waits: [wait] }), NOW)).toMatchObject({
      state: 'unusable',
      fix: { act: 'log-in' },
    })
    expect(told(facts(9, {}, { unusable: missing }))[0]).toBe('unusable')
  })
})

it('a failed attempt has a kind without a text of the answer', () => {
  expect(kindOfFailure(422, 'HTTP 422: the name Ann is taken')).toBe('HTTP 422')
  expect(kindOfFailure(null, 'connect ECONNREFUSED 127.0.0.1:9')).toBe('ECONNREFUSED')
  expect(kindOfFailure(null, 'no answer within 30000 ms')).toBe('time-out')
  expect(kindOfFailure(null, 'self-signed certificate')).toBe('TLS')
  expect(kindOfFailure(null, 'other side closed')).toBe('no answer')
})

describe('a destination that refuses credentials', () => {
  const credentials = {
    text: 'Its requests carry the secret `crm-key`.',
    fix: { act: 'set-secret', name: 'crm-key' },
  } as const

  it.each([401, 403])('names the secret, with the act that replaces it (HTTP %d)', status => {
    const { reason, fix } = destinationHealthOf(facts(0, { [`HTTP ${status}`]: 9 }, { credentials }), NOW)
    expect(reason).toMatch(
      /^All of the last 9 requests failed: HTTP 40[13], .* Its requests carry the secret `crm-key`\.$/,
    )
    expect(fix).toEqual(credentials.fix)
  })

  it('names it, too, while its breaker is open, and after the run has ended so', () => {
    const detail = `\`crm\` ${failureInWords(401, 'HTTP 401: who are you?')}. 50 requests in a row failed`
    const wait = { kind: 'breaker', until: NOW, detail } as const
    const stopped = { by: 'breaker', detail, at: NOW - MINUTE } as const
    for (const more of [{ waits: [wait] }, { stopped }]) {
      const health = destinationHealthOf(facts(0, {}, { credentials, ...more }), NOW)
      expect(health).toMatchObject({ state: 'breaker-open', fix: credentials.fix })
      expect(health.reason).toContain('the secret `crm-key`')
    }
  })

  it('has no such act if it fails for another reason, or takes most requests', () => {
    for (const known of [facts(0, { 'HTTP 500': 9 }), facts(99, { 'HTTP 401': 9 })])
      expect(destinationHealthOf({ ...known, credentials }, NOW).fix).toBeNull()
  })
})
