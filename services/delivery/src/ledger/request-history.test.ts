import { describe, expect, it } from 'vitest'
import type { Retried } from '@sluice/contracts/records'
import { sampleAttempt, sampleRequest, sampleRetried, sampleRow } from '@sluice/testkit/sample-records'
import { earlierKey, leftOfWaitMs, NO_HISTORY, ownKey, requestHash, withAttempt } from './request-history.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('the history of a request', () => {
  it('counts attempts, and the answers among them', () => {
    const broken = sampleAttempt({ outcome: 'unknown', answered: false, final: false })
    const refused = sampleAttempt({ attempt: 2, outcome: 'rejected', final: false })
    const history = [broken, refused].reduce(withAttempt, NO_HISTORY)
    expect(history).toMatchObject({ attempts: 2, answers: 1, tainted: true, final: null })
    expect(history.last).toMatchObject({ attempt: 2, responseBody: null })
  })

  it('has nothing used up by an attempt that was throttled', () => {
    const throttled = sampleAttempt({ outcome: 'throttled', status: 429, final: false })
    expect(withAttempt(NO_HISTORY, throttled)).toEqual(NO_HISTORY)
  })

  it('does not count what was never sent, and is finished by it', () => {
    const unsent = sampleAttempt({ attempt: 0, outcome: 'unsent', answered: false })
    const history = withAttempt(NO_HISTORY, unsent)
    expect(history).toEqual({ ...NO_HISTORY, final: { ...unsent, responseBody: null } })
  })

  it('stays in doubt, whatever comes after an attempt whose fate is not known', () => {
    const unknown = sampleAttempt({ outcome: 'unknown', final: false })
    const refused = sampleAttempt({ attempt: 2, outcome: 'rejected' })
    expect([unknown, refused].reduce(withAttempt, NO_HISTORY)).toMatchObject({
      tainted: true,
      final: { ...refused, responseBody: null },
      last: null,
    })
  })
})

describe('the hash of a request', () => {
  it('is the same for the same method, URL and body alone', () => {
    const same = requestHash('POST', 'http://api/rows', bytes('a'))
    expect(same).toMatch(/^[0-9a-f]{64}$/)
    expect(requestHash('POST', 'http://api/rows', bytes('a'))).toBe(same)
    const others = [
      requestHash('PUT', 'http://api/rows', bytes('a')),
      requestHash('POST', 'http://api/rows2', bytes('a')),
      requestHash('POST', 'http://api/rows', bytes('b')),
      requestHash('POST', 'http://api/rows', null),
    ]
    expect(new Set([same, ...others]).size).toBe(5)
  })
})

describe('the key of a request', () => {
  const place = { incarnation: 'i', run: 1, partition: 2, seq: 3, answers: 0 }

  it('is the same until it is answered', () => {
    expect(ownKey(place)).toBe(ownKey({ ...place }))
    expect(ownKey(place)).toMatch(/^[0-9a-f]{32}$/)
  })

  it('differs by sync, run, partition, place and answers', () => {
    const others = [{ incarnation: 'j' }, { run: 2 }, { partition: 1 }, { seq: 4 }, { answers: 1 }]
    const keys = [place, ...others.map(other => ({ ...place, ...other }))].map(ownKey)
    expect(new Set(keys).size).toBe(keys.length)
  })
})

describe('the key of an earlier run', () => {
  /** A request whose rows were left behind like that. */
  const keyOf = (...left: readonly (Partial<Retried> | null)[]): string | null => {
    const rows = left.map((fields, seq) =>
      sampleRow({
        seq,
        retried: fields === null ? null : sampleRetried({ requestRows: left.length, ...fields }),
      }),
    )
    return earlierKey(sampleRequest({ rows }), 'hash')
  }

  it('is kept where the very same request is in doubt, without an answer', () => {
    expect(keyOf({})).toBe('key')
    expect(keyOf({}, {}, {})).toBe('key')
  })

  it.each<[string, Partial<Retried>]>([
    ['another method, URL or body', { requestHash: 'another' }],
    ['an answer, which a server may replay', { answered: true }],
    ['an outcome that is known', { outcome: 'rejected' }],
    ['rows that are not here', { requestRows: 3 }],
    ['another key', { idempotencyKey: 'another' }],
    ['no key', { idempotencyKey: null }],
  ])('is freed where a row was in a request with %s', (_what, fields) => {
    expect(keyOf({}, fields)).toBeNull()
    expect(keyOf(fields, {})).toBeNull()
  })

  it('is freed where a row is new', () => {
    expect(keyOf({}, null)).toBeNull()
    expect(keyOf(null, {})).toBeNull()
    expect(keyOf(null)).toBeNull()
  })
})

it('an attempt that a stranger wrote lets no request wait for longer than a week', () => {
  const attempt = sampleAttempt({ nextTryAt: 8.64e15, startedAt: -8.64e15, durationMs: 0 })
  expect(leftOfWaitMs(attempt)).toBe(7 * 86_400_000)
})
