/**
 * The outcomes of rows of a batch: with outcomes per row (`errors.rowResults`), with batches that are
 * halved (`errors.splitBatches`), with and without retries in the same run (PROTOCOL.md §8).
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BatchDelivery, type Api, type Reply } from '../test/batch-delivery.ts'
import { Throttles } from './send/throttles.ts'

vi.setConfig({ testTimeout: 30_000 })

let lives: BatchDelivery
beforeEach(async () => {
  lives = await BatchDelivery.open()
})
afterEach(() => lives[Symbol.asyncDispose]())

const BY_INDEX = [{ items: '$.errors[*]', row: { index: '$.index' }, as: 'rejected', error: '$.message' }]

/** The API applies what it can, and names by index the rows that it rejected. */
const rejects =
  (...bad: readonly string[]): Api =>
  keys => {
    const errors = keys.flatMap((key, index) => (bad.includes(key) ? [{ index, message: `bad ${key}` }] : []))
    return { status: errors.length === 0 ? 200 : 207, body: { errors } }
  }

/** The API takes a batch as a whole, and none with one of these rows. */
const refusesWith =
  (status: number, ...bad: readonly string[]): Api =>
  keys => ({ status: keys.some(key => bad.includes(key)) ? status : 200 })

const inTurn =
  (...replies: readonly Reply[]): Api =>
  (_, nth) =>
    replies[nth] ?? replies.at(-1) ?? { status: 200 }

type Case = readonly [
  what: string,
  errors: object,
  rows: string,
  api: Api,
  /** The requests, by their rows. */
  sent: string,
  /** The rows that did not arrive. */
  left: string,
]

const NOW = { retry: 'now', attempts: 2 }
const SPLIT = { splitBatches: true }

describe('a request', () => {
  const CASES: readonly Case[] = [
    // One row.
    ['of one row that is rejected is tried once', {}, 'a', inTurn({ status: 400 }), 'a', 'a:rejected'],
    ['of one row is not halved', SPLIT, 'a', inTurn({ status: 400 }), 'a', 'a:rejected'],
    [
      'of one row is tried again, with now',
      { ...NOW, ...SPLIT },
      'a',
      inTurn({ status: 400 }),
      'a a a',
      'a:rejected',
    ],
    ['of one row may be rejected by a 200', { rowResults: BY_INDEX }, 'a', rejects('a'), 'a', 'a:rejected'],
    // A batch, without outcomes per row.
    [
      'of a batch has one outcome for all',
      {},
      'abc',
      inTurn({ status: 400 }),
      'abc',
      'a:rejected b:rejected c:rejected',
    ],
    [
      'of a batch is tried again whole, with now',
      NOW,
      'ab',
      inTurn({ status: 400 }, { status: 200 }),
      'ab ab',
      '',
    ],
    // Outcomes per row.
    [
      'leaves the rows that its answer names',
      { rowResults: BY_INDEX },
      'abcd',
      rejects('b', 'd'),
      'abcd',
      'b:rejected d:rejected',
    ],
    [
      'has all rows rejected where the API names all',
      { rowResults: BY_INDEX },
      'ab',
      rejects('a', 'b'),
      'ab',
      'a:rejected b:rejected',
    ],
    [
      'sends only those rows again, with now',
      { ...NOW, rowResults: BY_INDEX },
      'abcd',
      (keys, nth) => (keys.length === 4 ? rejects('b', 'd')(keys, nth) : rejects('d')(keys, nth)),
      'abcd bd d',
      'd:rejected',
    ],
    [
      'names rows in an answer of any status, and the others are as the request',
      { rowResults: [{ items: '$[*]', row: { mail: '$' }, as: 'delivered' }] },
      'abc',
      inTurn({ status: 500, body: ['b@x'] }),
      'abc',
      'a:unknown c:unknown',
    ],
    [
      'throttles some rows, which costs them no retry',
      { rowResults: [{ ...BY_INDEX[0], as: 'throttled' }] },
      'abc',
      (keys, nth) => (keys.length === 3 || nth === 0 ? rejects('b')(keys, nth) : { status: 200 }),
      'abc b b',
      '',
    ],
    [
      'has the outcomes that an answer of 429 names, if it names all rows',
      { rowResults: [{ items: '$[*]', row: 'position', as: 'delivered' }] },
      'ab',
      inTurn({ status: 429, body: [1, 2] }),
      'ab',
      '',
    ],
    // Halves.
    [
      'is halved until the bad row stands alone',
      SPLIT,
      'abcd',
      refusesWith(422, 'c'),
      'abcd ab cd c d',
      'c:rejected',
    ],
    ['is halved for 400', SPLIT, 'abc', refusesWith(400, 'a'), 'abc ab c a b', 'a:rejected'],
    [
      'is halved for 413',
      SPLIT,
      'ab',
      (keys, nth) => (keys.length > 1 ? { status: 413 } : inTurn({ status: 200 })(keys, nth)),
      'ab a b',
      '',
    ],
    ['is not halved for 409', SPLIT, 'ab', refusesWith(409, 'a'), 'ab', 'a:rejected b:rejected'],
    [
      'is not halved for 500, with its outcome',
      SPLIT,
      'ab',
      refusesWith(500, 'a'),
      'ab',
      'a:unknown b:unknown',
    ],
    [
      'is not halved if a rule says otherwise',
      { ...SPLIT, answers: [{ status: 422, as: 'unknown' }] },
      'ab',
      refusesWith(422, 'a'),
      'ab',
      'a:unknown b:unknown',
    ],
    [
      'is halved at once, with now, and only the bad row uses up retries',
      { ...NOW, ...SPLIT },
      'abcd',
      refusesWith(422, 'c'),
      'abcd ab cd c d c c',
      'c:rejected',
    ],
    [
      'that is rejected whole, and names the bad row, goes on without it',
      { ...SPLIT, rowResults: BY_INDEX },
      'abcd',
      (keys, nth) => ({
        status: keys.includes('c') ? 422 : 200,
        body: { errors: keys.flatMap((key, index) => (key === 'c' ? [{ index, message: `${nth}` }] : [])) },
      }),
      'abcd abd',
      'c:rejected',
    ],
    // No answer, and then.
    [
      'of a batch without an answer is unknown as a whole',
      { rowResults: BY_INDEX, ...SPLIT },
      'ab',
      inTurn('time-out'),
      'ab',
      'a:unknown b:unknown',
    ],
    [
      'keeps each row uncertain while it is halved',
      { ...NOW, ...SPLIT },
      'ab',
      (keys, nth) =>
        keys.length === 2
          ? inTurn('time-out', { status: 422 })(keys, nth)
          : { status: keys[0] === 'a' ? 200 : 422 },
      'ab ab a b b',
      'b:unknown',
    ],
    [
      'is throttled whole, and then names its rows',
      { rowResults: BY_INDEX },
      'ab',
      (keys, nth) => (nth === 0 ? { status: 429 } : rejects('b')(keys, nth)),
      'ab ab',
      'b:rejected',
    ],
  ]

  it.each(CASES)('%s', async (...of) => {
    const [, errors, rows, api, sent, left] = of
    await lives.begin([...rows], { errors })
    lives.api = api
    await lives.finish()
    expect(lives.batches.toSorted()).toEqual(sent.split(' ').toSorted())
    expect(await lives.outcomes()).toBe(left)
    const attempts = await lives.attempts()
    const sends = attempts.filter(({ outcome, attempt }) => attempt > 0 && outcome !== 'throttled')
    const { delivered, rejected, unknown, unsent, ...counts } = lives.counts()
    expect(delivered + rejected + unknown + unsent).toBe(rows.length)
    expect(counts).toMatchObject({ requests: new Set(sent.split(' ')).size, attempts: sends.length })
    expect(attempts.map(({ final }) => final)).toEqual(
      attempts.map((_, index) => index === attempts.length - 1),
    )
    expect(sends.map(({ attempt }) => attempt)).toEqual(sends.map((_, index) => index + 1))
    for (const { keys, body } of lives.sent) expect(JSON.parse(body)).toEqual({ n: keys.length, rows: keys })
  })
})

describe('a destination that takes some rows of each request, and throttles the others,', () => {
  it('is never left alone for longer than for a first pause', async () => {
    await lives.begin([...'abcdef'], { errors: { rowResults: [{ ...BY_INDEX[0], as: 'throttled' }] } })
    lives.api = keys => ({ status: 207, body: { errors: keys.slice(1).map((_, n) => ({ index: n + 1 })) } })
    const throttles = new Throttles({ firstPauseMs: 5, random: () => 0 })
    const pauses = vi.spyOn(throttles, 'pauseMs')
    await lives.finish({ throttles })
    expect(lives.batches).toEqual(['abcdef', 'bcdef', 'cdef', 'def', 'ef', 'f'])
    expect(pauses.mock.results.map((result): unknown => result.value)).toEqual([5, 5, 5, 5, 5])
  })
})
