/**
 * With `errors.retry: now`, each kind of answer decides on the number of attempts, their keys, and the
 * outcome of the row (PROTOCOL.md §8).
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { always, OK, ScriptedDelivery, type Fate } from '../test/scripted-delivery.ts'

vi.setConfig({ testTimeout: 30_000 })

let lives: ScriptedDelivery
beforeEach(async () => {
  lives = await ScriptedDelivery.open()
})
afterEach(() => lives[Symbol.asyncDispose]())

/**
 * The fates of the attempts; their number; the outcome of the row, null if it arrives; attempts of equal
 * keys.
 */
type Case = readonly [
  what: string,
  fates: readonly Fate[],
  tries: number,
  outcome: string | null,
  keys: string,
]

describe('a request whose attempts, with `retry: now` and two retries,', () => {
  const T = 'time-out'
  /** The fates of the attempts, their number, the outcome of the row, and the attempts that share a key. */
  const CASES: readonly Case[] = [
    ['arrive at once', [OK], 1, null, 'a'],
    ['are refused and then arrive', [{ status: 400 }, OK], 2, null, 'ab'],
    ['are all refused', [{ status: 422 }], 3, 'rejected', 'abc'],
    ['are redirected', [{ status: 302 }], 3, 'rejected', 'abc'],
    ['break the API', [{ status: 500 }], 3, 'unknown', 'abc'],
    ['are too slow for the API', [{ status: 408 }, OK], 2, null, 'ab'],
    ['have no answer, so that the key stays', [T, OK], 2, null, 'aa'],
    ['have no answer at all', [T, 'broken', T], 3, 'unknown', 'aaa'],
    ['have no answer and are then refused: it stays unknown', [T, { status: 400 }], 3, 'unknown', 'aab'],
    [
      'break the API and are then refused: it stays unknown',
      [{ status: 500 }, { status: 400 }],
      3,
      'unknown',
      'abc',
    ],
    ['reach no server', ['refused'], 3, 'unsent', 'aaa'],
    ['reach no server and then arrive', ['refused', OK], 2, null, 'aa'],
    [
      'are throttled, which uses up no retry',
      [{ status: 400 }, { status: 429 }, { status: 400 }, OK],
      4,
      null,
      'abbc',
    ],
    ['cannot be written as HTTP', ['impossible'], 1, 'rejected', 'a'],
    ['hear that the row exists', [{ status: 409 }], 1, 'exists', 'a'],
    ['hear nothing, and then that the row exists', [T, { status: 409 }], 2, 'exists', 'aa'],
    ['hear that the row is missing', [{ status: 410 }], 1, 'missing', 'a'],
  ]
  const answers = [
    { status: 409, as: 'exists' },
    { status: 410, as: 'missing' },
  ]

  it.each(CASES)('%s', async (...of) => {
    const [, fates, tries, outcome, keys] = of
    await lives.begin(['k'], { errors: { attempts: 2, answers } })
    lives.api.script = always(...fates)
    await lives.finish()
    expect(lives.api.tries).toHaveLength(tries)
    const used = lives.api.tries.map(({ idempotencyKey }) => idempotencyKey)
    expect(used.map(key => 'abc'.charAt([...new Set(used)].indexOf(key))).join('')).toBe(keys)
    const made = (await lives.attempts()).filter(attempt => attempt.outcome !== 'throttled')
    expect(made.map(({ attempt }) => attempt)).toEqual(made.map((_, index) => index + 1))
    expect(made.map(({ final }) => final)).toEqual(made.map((_, index) => index === made.length - 1))
    for (const { final, nextTryAt } of made) expect(nextTryAt === null).toBe(final)
    const found = await lives.entries()
    expect(found.map(entry => entry.outcome)).toEqual(outcome === null ? [] : [outcome])
    for (const entry of found) expect(entry).toMatchObject({ attempts: made.length, runs: 1 })
    expect(lives.counts).toMatchObject({ requests: 1, attempts: made.length })
  })

  it.each([[{ status: 400 }], [{ status: 500 }], ['time-out'], ['refused']] as const)(
    'meet %j, is tried once with `retry: next-run`',
    async fate => {
      await lives.begin(['k'], { errors: { retry: 'next-run', backoff: undefined } })
      lives.api.script = always(fate)
      await lives.finish()
      expect(lives.api.tries).toHaveLength(1)
      expect(await lives.attempts()).toMatchObject([{ final: true, nextTryAt: null }])
    },
  )

  it.each([
    [{ status: '4xx', as: 'rejected' }, [{ status: 422 }], 1, 'rejected'],
    [{ status: 422, as: 'rejected' }, [{ status: 500 }, { status: 422 }], 2, 'unknown'],
    [{ status: 422, as: 'rejected' }, [{ status: 400 }, OK], 2, null],
    [{ status: 502, as: 'unknown' }, [{ status: 502 }], 1, 'unknown'],
  ] as const)('meet what %j leaves to the next run: %j', async (rule, fates, tries, outcome) => {
    await lives.begin(['k'], { errors: { answers: [{ ...rule, retry: 'next-run' }] } })
    lives.api.script = always(...fates)
    await lives.finish()
    expect(lives.api.tries).toHaveLength(tries)
    expect((await lives.attempts()).at(-1)).toMatchObject({ final: true, nextTryAt: null })
    expect((await lives.entries()).map(entry => entry.outcome)).toEqual(outcome === null ? [] : [outcome])
  })

  it('removes a row, has no answer and is then not found: the row is gone', async () => {
    await lives.begin(['k'], { row: { op: 'removed', uncertain: false } })
    lives.api.script = always('time-out', { status: 404 })
    await lives.finish()
    expect((await lives.attempts()).map(({ outcome }) => outcome)).toEqual(['unknown', 'delivered'])
    expect(await lives.entries()).toEqual([])
  })

  it('fail gets three retries by default', async () => {
    await lives.begin(['k'])
    lives.api.script = always({ status: 400 })
    await lives.finish()
    expect(lives.api.tries).toHaveLength(4)
  })
})
