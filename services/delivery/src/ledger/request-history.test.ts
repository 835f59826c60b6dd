import { describe, expect, it } from 'vitest'
import type { Retried } from '@sluice/contracts/records'
import { sampleAttempt, sampleRequest, sampleRetried, sampleRow } from '@sluice/testkit/sample-records'
import type { Outcome } from '@sluice/contracts/state'
import {
  isUncertain,
  earlierKey,
  leftOfWaitMs,
  NO_HISTORY,
  ownKey,
  requestHash,
  WHOLE,
  withAttempt,
} from './request-history.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('the history of a request', () => {
  it('counts attempts, and the answers among them', () => {
    const broken = sampleAttempt({ outcome: 'unknown', answered: false, final: false, nextTryAt: 5 })
    const refused = sampleAttempt({ attempt: 2, outcome: 'rejected', final: false })
    const history = [broken, refused].reduce(withAttempt, NO_HISTORY)
    expect(history).toMatchObject({ attempts: 2, requests: 1, ended: [] })
    expect(history.parts).toMatchObject([
      { positions: null, tries: 2, attempts: 2, answers: 1, uncertain: true },
    ])
    expect(history.parts[0]?.last).toMatchObject({ attempt: 2, responseBody: null })
  })

  it('has nothing used up by an attempt that was throttled', () => {
    const throttled = sampleAttempt({ outcome: 'throttled', status: 429, final: false })
    expect(withAttempt(NO_HISTORY, throttled)).toEqual(NO_HISTORY)
  })

  it('does not count what was never sent, and is finished by it', () => {
    const unsent = sampleAttempt({ attempt: 0, outcome: 'unsent', answered: false })
    const ended = [{ positions: null, attempt: { ...unsent, responseBody: null }, attempts: 0 }]
    expect(withAttempt(NO_HISTORY, unsent)).toEqual({ ...NO_HISTORY, parts: [], ended })
  })

  it('stays uncertain, whatever comes after an unknown attempt', () => {
    const unknown = sampleAttempt({ outcome: 'unknown', final: false, nextTryAt: 5 })
    const refused = sampleAttempt({ attempt: 2, outcome: 'rejected', final: false })
    expect([unknown, refused].reduce(withAttempt, NO_HISTORY).parts).toMatchObject([{ uncertain: true }])
  })

  it('reads attempts of an earlier version, which know of no parts', () => {
    const attempt = sampleAttempt({ outcome: 'rejected', final: false })
    Reflect.deleteProperty(attempt, 'part')
    Reflect.deleteProperty(attempt, 'parts')
    const history = withAttempt(NO_HISTORY, attempt)
    expect(history.parts).toMatchObject([{ positions: null, tries: 1 }])
  })
})

describe('the history of a request that goes on in parts', () => {
  const result = (seq: number, outcome: Outcome) => ({ seq, outcome, error: null, captured: null })
  /** Row 1 is unknown and row 3 rejected, of four. */
  const mixed = sampleAttempt({
    rows: [result(1, 'unknown'), result(3, 'rejected')],
    parts: [{ rows: [1, 3], tries: 1, waitMs: 7 }],
    final: false,
  })

  it('has each part open, with retries and pause as the attempt before says', () => {
    const history = withAttempt(NO_HISTORY, mixed)
    expect(history).toMatchObject({ attempts: 1, requests: 1, ended: [{ positions: null }] })
    expect(history.parts).toMatchObject([{ positions: [1, 3], tries: 1, attempts: 1, sends: 0, waitMs: 7 }])
  })

  it('keeps the row uncertain', () => {
    const [part] = withAttempt(NO_HISTORY, mixed).parts
    expect([0, 1, 2, 3].map(seq => isUncertain(part?.uncertain ?? true, { seq }))).toEqual([
      ...[false, true, false, false],
    ])
  })

  it('goes on with the answers of the same rows, and begins anew with others', () => {
    const again = sampleAttempt({ attempt: 2, part: [1, 3], outcome: 'rejected', final: false })
    const same = [mixed, again].reduce(withAttempt, NO_HISTORY)
    expect(same).toMatchObject({ attempts: 2, requests: 2 })
    expect(same.parts).toMatchObject([{ tries: 2, attempts: 2, sends: 1, answers: 1 }])
    const parts = [1, 3].map(row => ({ rows: [row], tries: 1, waitMs: 0 }))
    const halved = [mixed, { ...again, parts }].reduce(withAttempt, NO_HISTORY)
    expect(halved.parts).toMatchObject([
      { positions: [1], attempts: 2, sends: 0, answers: 0 },
      { positions: [3], attempts: 2, sends: 0, answers: 0 },
    ])
  })

  it('says nothing of rows that were only divided, since nothing was sent', () => {
    const parts = [{ rows: [1], tries: 1, waitMs: 0 }]
    const divided = sampleAttempt({ attempt: 0, part: [1, 3], outcome: 'rejected', parts, final: false })
    const history = [mixed, divided].reduce(withAttempt, NO_HISTORY)
    expect(history).toMatchObject({ attempts: 1, requests: 1 })
    expect(history.parts).toMatchObject([{ positions: [1], last: { attempt: 1 } }])
  })

  it('knows no attempt of rows that are not open together', () => {
    const other = sampleAttempt({ attempt: 2, part: [0], final: false })
    expect(() => [mixed, other].reduce(withAttempt, NO_HISTORY)).toThrow(/rows 0, and these are not open/)
  })
})

describe('an intent', () => {
  const intent = sampleAttempt({ outcome: 'unknown', answered: false, final: false, nextTryAt: null })

  it('is no attempt, and unknown until an attempt follows', () => {
    const intended = withAttempt(NO_HISTORY, intent)
    expect(intended).toEqual({ ...NO_HISTORY, parts: [{ ...WHOLE, intent, intents: 1 }] })
    expect(withAttempt(intended, sampleAttempt())).toMatchObject({ attempts: 1, parts: [] })
    const refused = sampleAttempt({ outcome: 'rejected', final: false, nextTryAt: 5 })
    expect(withAttempt(intended, refused).parts).toMatchObject([
      { intent: null, intents: 0, uncertain: false },
    ])
    const throttled = sampleAttempt({ outcome: 'throttled', status: 429, final: false })
    expect(withAttempt(intended, throttled)).toEqual(NO_HISTORY)
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
  const place = { incarnation: 'i', run: 1, partition: 2, seq: 3, positions: null, answers: 0 }

  it('is the same until it is answered', () => {
    expect(ownKey(place)).toBe(ownKey({ ...place }))
    expect(ownKey(place)).toMatch(/^[0-9a-f]{32}$/)
  })

  it('differs by sync, run, partition, place, rows and answers', () => {
    const parts = [[0], [1], [0, 1], [0, 2]].map(positions => ({ positions }))
    const others = [{ incarnation: 'j' }, { run: 2 }, { partition: 1 }, { seq: 4 }, { answers: 1 }, ...parts]
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

  it('is kept if the very same request is unknown, without an answer', () => {
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
  const week = 7 * 86_400_000
  const last = sampleAttempt({ nextTryAt: 8.64e15, startedAt: -8.64e15, durationMs: 0, final: false })
  const [part = WHOLE] = withAttempt(NO_HISTORY, last).parts
  expect(leftOfWaitMs(part)).toBeLessThanOrEqual(week)
  const late = { ...last, startedAt: Date.now() }
  expect(leftOfWaitMs({ ...WHOLE, last: late, waitMs: 8.64e15 })).toBe(week)
})
