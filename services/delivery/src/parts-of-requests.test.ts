/**
 * Parts of a request survive kills, hand-overs and early ends, and keep their keys (PROTOCOL.md §8).
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { BatchDelivery, type Reply } from '../test/batch-delivery.ts'
import { DeliveryMemory } from './delivery-memory.ts'
import { SYNC } from '@sluice/testkit/sample-records'
import { PREFIX } from '@sluice/testkit/test-log'
import { syncTopics } from '@sluice/topics/topics'

vi.setConfig({ testTimeout: 30_000 })

let lives: BatchDelivery
beforeEach(async () => {
  lives = await BatchDelivery.open()
})
afterEach(() => lives[Symbol.asyncDispose]())

const SPLIT = { splitBatches: true }
const BY_INDEX = [{ items: '$.errors[*]', row: { index: '$.index' }, as: 'rejected' }]
const OK: Reply = { status: 200 }
const REFUSED: Reply = { status: 422 }

/** The keys under which rows went, as letters in the order of their first use. */
function letters(): string {
  const keys = lives.sent.map(({ idempotencyKey }) => idempotencyKey)
  return keys.map(key => 'abcdefgh'.charAt([...new Set(keys)].indexOf(key))).join('')
}

describe('a part whose process is killed', () => {
  it('goes out again with the same rows, bytes and key, and its row is uncertain', async () => {
    await lives.begin([...'abcd'], { errors: SPLIT })
    lives.api = keys => (keys.length === 4 ? REFUSED : 'silent')
    const life = lives.live()
    await lives.untilSent(3)
    await life.kill()
    expect(lives.batches.toSorted()).toEqual(['ab', 'abcd', 'cd'])
    const before = lives.sent.slice(1)
    lives.api = keys => (keys.includes('c') ? REFUSED : OK)
    await lives.finish()
    const again = lives.sent.slice(3, 5)
    const bySize = (a: { readonly body: string }, b: { readonly body: string }): number =>
      a.body.localeCompare(b.body)
    expect(again.toSorted(bySize)).toEqual(before.toSorted(bySize))
    expect(lives.batches.slice(5).toSorted()).toEqual(['c', 'd'])
    // The first attempt of c and d may have been applied, whatever the API says later.
    expect(await lives.outcomes()).toBe('c:unknown')
    expect(lives.counts()).toMatchObject({ delivered: 3, unknown: 1, requests: 5, attempts: 5 })
  })

  it('does not bring back rows that were finished before', async () => {
    await lives.begin([...'abcd'], { errors: { retry: 'now', rowResults: BY_INDEX } })
    lives.api = keys =>
      keys.length === 4 ? { status: 207, body: { errors: [{ index: 1 }, { index: 2 }] } } : 'silent'
    const life = lives.live()
    await lives.untilSent(2)
    await life.kill()
    lives.api = () => OK
    await lives.finish()
    expect(lives.batches).toEqual(['abcd', 'bc', 'bc'])
    expect(letters()).toBe('abb')
    expect(lives.counts()).toMatchObject({ delivered: 4, requests: 2, attempts: 2 })
  })

  it('is written down again where the attempts say all, and only the effects may be missing', async () => {
    await lives.begin([...'ab'], { errors: { ...SPLIT }, retried: () => null })
    lives.api = keys => (keys.includes('b') ? REFUSED : OK)
    const life = lives.live()
    await lives.untilSent(3)
    await life.kill()
    await lives.finish()
    expect(await lives.outcomes()).toMatch(/^b:(rejected|unknown)$/)
    expect(lives.counts()).toMatchObject({ delivered: 1, detected: 0 })
  })
})

describe('a part that waits', () => {
  it('is left to the successor in good order, which knows it from the attempts alone', async () => {
    await lives.begin([...'abc'], { errors: { retry: 'now', rowResults: BY_INDEX } })
    lives.api = keys =>
      keys.length === 3 ? { status: 207, retryAfter: 1, body: { errors: [{ index: 2 }] } } : OK
    const life = lives.live()
    await lives.untilSent(1)
    await life.drain()
    expect(await lives.attempts()).toMatchObject([
      {
        ...{ final: false, part: null, rows: [{ outcome: 'rejected' }] },
        parts: [{ rows: [2], tries: 1, waitMs: 1_000 }],
      },
    ])
    await lives.finish()
    expect(lives.batches).toEqual(['abc', 'c'])
    expect(await lives.attempts()).toMatchObject([{}, { final: true, part: [2], attempt: 2 }])
    expect(lives.counts()).toMatchObject({ delivered: 3, requests: 2, attempts: 2 })
  })

  it('has only the rows that no rule leaves to the next run', async () => {
    const [failed] = BY_INDEX
    const rowResults = [{ ...failed, json: '$.final', retry: 'next-run' }, ...BY_INDEX]
    await lives.begin([...'abc'], { errors: { retry: 'now', attempts: 1, rowResults } })
    lives.api = keys =>
      keys.length === 3 ? { status: 207, body: { errors: [{ index: 0, final: true }, { index: 2 }] } } : OK
    await lives.finish()
    expect(lives.batches).toEqual(['abc', 'c'])
    expect(await lives.outcomes()).toBe('a:rejected')
  })

  it('is halved though a rule leaves the rows that are refused alone to the next run', async () => {
    const answers = [{ status: 422, as: 'rejected', retry: 'next-run' }]
    await lives.begin([...'ab'], { errors: { ...SPLIT, retry: 'now', answers } })
    lives.api = keys => (keys.includes('b') ? { status: 422 } : OK)
    await lives.finish()
    expect(lives.batches.toSorted()).toEqual(['a', 'ab', 'b'])
    expect(await lives.outcomes()).toBe('b:rejected')
  })

  it('reads the changes of its batch once, for all of its parts', async () => {
    await lives.begin([...'abcdefgh'], { errors: SPLIT })
    lives.api = () => REFUSED
    const read = vi.spyOn(lives.world.log, 'read')
    const memory = new DeliveryMemory(128_000_000)
    await lives.finish({ memory })
    expect(lives.sent).toHaveLength(15)
    const { changes } = syncTopics(PREFIX, SYNC)
    expect(read.mock.calls.filter(([{ topic }]) => topic === changes)).toHaveLength(1)
    read.mockRestore()
    expect(memory.requests.takenBytes).toBe(0)
  })

  it('counts in memory, while its rows wait alone, for what is known of each', async () => {
    const keys = Array.from({ length: 100 }, (_, row) => `k${row}`)
    await lives.begin(keys, { errors: { ...SPLIT, retry: 'now' } })
    lives.api = of => (of.length > 1 ? REFUSED : { status: 400, retryAfter: 600 })
    const memory = new DeliveryMemory(128_000_000)
    const life = lives.live({ memory })
    let alone = 0
    await lives.untilAttempts(({ part }) => part?.length === 1 && (alone += 1) === 100)
    await vi.waitFor(() => expect(memory.requests.takenBytes).toBeGreaterThan(150_000))
    await life.drain()
  })

  it('gets the outcome of its last attempt when the run is cancelled', async () => {
    await lives.begin([...'abc'], {
      errors: {
        retry: 'now',
        rowResults: [...BY_INDEX, { items: '$.lost[*]', row: { index: '$' }, as: 'unknown' }],
      },
    })
    lives.api = () => ({ status: 207, retryAfter: 600, body: { errors: [{ index: 2 }], lost: [0] } })
    const done = lives.finish()
    await lives.untilSent(1)
    await lives.tell({ cancelling: true })
    await done
    expect(lives.batches).toEqual(['abc'])
    expect(await lives.outcomes()).toBe('a:unknown c:rejected')
    expect(lives.counts()).toMatchObject({ delivered: 1, rejected: 1, unknown: 1, requests: 1, attempts: 1 })
    expect((await lives.attempts()).map(({ attempt, final }) => [attempt, final])).toEqual([
      [1, false],
      [0, true],
    ])
  })
})

describe('the memory of a request that waits', () => {
  const ROWS = 40
  const errors = {
    ...{ retry: 'now', backoff: { first: '10m', max: '10m' } },
    rowResults: [{ items: '$.errors[*]', row: { index: '$.index' }, as: 'rejected', error: '$.why' }],
  }

  it.each([
    ['whole', {}, 1],
    ['in halves', SPLIT, 3],
  ])('counts what answers said of its rows, if they go on %s', async (_, how, requests) => {
    const keys = Array.from({ length: ROWS }, (_each, row) => `k${row}`)
    await lives.begin(keys, { errors: { ...errors, ...how } })
    lives.api = sent => {
      if (requests > 1 && sent.length === ROWS) return REFUSED
      return { status: 400, body: { errors: sent.map((_each, index) => ({ index, why: 'x'.repeat(900) })) } }
    }
    const memory = new DeliveryMemory(128_000_000)
    const life = lives.live({ memory, random: () => 0.99 })
    await lives.untilSent(requests)
    let before = -1
    const isStill = (): boolean => before === (before = memory.requests.takenBytes)
    await expect.poll(isStill).toBe(true)
    expect(before).toBeGreaterThan(ROWS * 900)
    expect(before).toBeLessThan(ROWS * 2_000)
    await life.drain()
    expect(memory.requests.takenBytes).toBe(0)
  })
})

describe('the key of a part', () => {
  it('covers exactly its rows, and is freed by an answer', async () => {
    await lives.begin([...'ab'], { errors: { ...SPLIT, retry: 'now', attempts: 2 } })
    lives.api = (keys, nth) => (keys.length === 2 || (keys[0] === 'a' && nth < 2) ? REFUSED : OK)
    await lives.finish()
    const keyOf = (rows: string): readonly (string | undefined)[] =>
      lives.sent.filter(({ keys }) => keys.join('') === rows).map(({ idempotencyKey }) => idempotencyKey)
    expect(keyOf('a')).toHaveLength(3)
    expect(new Set([...keyOf('ab'), ...keyOf('a'), ...keyOf('b')]).size).toBe(5)
  })

  it('stays for an attempt that had no answer', async () => {
    await lives.begin([...'ab'], { errors: { ...SPLIT, retry: 'now' } })
    lives.api = (keys, nth) => (keys.length === 2 ? REFUSED : keys[0] === 'a' && nth === 0 ? 'time-out' : OK)
    await lives.finish()
    const keys = lives.sent.filter(({ keys: [key], keys: all }) => key === 'a' && all.length === 1)
    expect(keys).toHaveLength(2)
    expect(new Set(keys.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1)
    expect(await lives.outcomes()).toBe('')
  })

  it('is what its rows leave behind, with an answer and attempts of their own', async () => {
    await lives.begin([...'abc'], { errors: SPLIT })
    lives.api = keys => (keys.includes('a') ? (keys.length === 1 ? 'time-out' : REFUSED) : OK)
    await lives.finish()
    const [last] = lives.sent.filter(({ keys }) => keys.join('') === 'a')
    expect((await lives.entries()).get('a')).toMatchObject({
      outcome: 'unknown',
      answered: false,
      idempotencyKey: last?.idempotencyKey,
      requestRows: 1,
      attempts: 3,
      runs: 1,
    })
  })
})

describe('a part that had no answer when the run was cancelled', () => {
  it('leaves behind its key, with the bytes that it stands for', async () => {
    const backoff = { first: '10m', max: '10m' }
    await lives.begin([...'ab'], { errors: { ...SPLIT, retry: 'now', backoff } })
    lives.api = keys => (keys.length === 2 ? REFUSED : keys[0] === 'a' ? 'time-out' : OK)
    const done = lives.finish({ random: () => 0.99 })
    await lives.untilAttempts(({ part, outcome }) => part?.[0] === 0 && outcome === 'unknown')
    await lives.tell({ cancelling: true })
    await done
    const [made] = (await lives.attempts()).filter(({ part, attempt }) => part?.[0] === 0 && attempt > 0)
    const { idempotencyKey, requestHash } = made ?? {}
    expect((await lives.entries()).get('a')).toMatchObject({
      ...{ outcome: 'unknown', answered: false, requestRows: 1 },
      ...{ idempotencyKey, requestHash },
    })
  })
})

describe('a part with `delivery: at-most-once`', () => {
  const ONCE = { delivery: 'at-most-once' }

  it('is unknown for good with at-most-once, while other parts go on', async () => {
    await lives.begin([...'abcd'], { errors: SPLIT, sync: ONCE })
    lives.api = keys => (keys.includes('d') ? (keys.length === 1 ? 'silent' : REFUSED) : 'time-out')
    const life = lives.live()
    await lives.untilSent(5)
    await lives.untilAttempts(({ part, attempt }) => part?.length === 1 && attempt > 0 && part[0] === 2)
    await life.kill()
    lives.api = () => OK
    await lives.finish()
    expect(lives.batches.toSorted()).toEqual(['ab', 'abcd', 'c', 'cd', 'd'])
    expect(await lives.outcomes()).toBe('a:unknown b:unknown c:unknown d:unknown')
    expect(lives.counts()).toMatchObject({ unknown: 4, delivered: 0 })
  })
})

describe('a part with an intent whose process died', () => {
  it('leaves behind the key and the bytes of its intent', async () => {
    await lives.begin([...'ab'], { errors: SPLIT, sync: { delivery: 'at-most-once' } })
    lives.api = keys => (keys.length === 2 ? REFUSED : keys[0] === 'a' ? 'silent' : OK)
    const life = lives.live()
    await lives.untilSent(3)
    await life.kill()
    await lives.finish()
    const [sent] = lives.sent.filter(({ keys }) => keys.join('') === 'a')
    const [intent] = (await lives.attempts()).filter(({ part, attempt }) => part?.[0] === 0 && attempt > 0)
    expect((await lives.entries()).get('a')).toMatchObject({
      ...{ outcome: 'unknown', answered: false, requestRows: 1 },
      ...{ idempotencyKey: sent?.idempotencyKey, requestHash: intent?.requestHash },
    })
  })
})

describe('a part, maybe sent, of a run that is over', () => {
  it('comes to what it had though its changes are gone', async () => {
    await lives.begin([...'ab'], { errors: SPLIT })
    lives.api = keys => (keys.length === 2 ? REFUSED : 'silent')
    const life = lives.live()
    await lives.untilSent(3)
    await life.kill()
    await lives.forgetChanges()
    await lives.tell({ cancelling: true })
    await lives.finish()
    expect(await lives.outcomes()).toBe('a:unknown b:unknown')
    expect(lives.counts()).toMatchObject({ unknown: 2, delivered: 0 })
  })
})

describe('a part of a run that is over and cannot be opened', () => {
  it('takes nothing from the rows that arrived before: their values are kept', async () => {
    const rowResults = [{ items: '$.made[*]', row: { index: '$.index' }, as: 'delivered' }]
    const errors = { retry: 'now', rowResults }
    await lives.begin([...'ab'], { errors, trigger: { capture: { id: '$.id' } } })
    lives.api = keys =>
      keys.length === 2 ? { status: 400, body: { made: [{ index: 0, id: 7 }] } } : 'silent'
    const life = lives.live()
    await lives.untilSent(2)
    await life.kill()
    await lives.tell({ status: 'failed', endedAt: 2 })
    const lost = new SluiceError('not-found', 'the definition is gone')
    vi.spyOn(lives.world.definitions, 'get').mockRejectedValue(lost)
    const next = lives.live()
    await expect.poll(() => lives.captured()).toEqual({ a: '{"id":7}' })
    await next.drain()
    expect(lives.batches).toEqual(['ab', 'b'])
  })
})

describe('rows that cannot be rendered once a batch is divided', () => {
  it('are rejected for that, and the others are sent', async () => {
    // The template needs two rows, or the row b.
    const json =
      '{"n": {{ rows.size }}, "rows": ["{% if rows.size == 1 and rows[0].id != "b" %}oops{% else %}{{ rows | map: "id" | join: \'","\' }}"{% endif %}]}'
    await lives.begin([...'ab'], { errors: SPLIT, trigger: { body: { json } } })
    lives.api = keys => (keys.length === 2 ? REFUSED : OK)
    await lives.finish()
    expect(lives.batches).toEqual(['ab', 'b'])
    expect((await lives.entries()).get('a')).toMatchObject({ outcome: 'rejected', answered: false })
    expect((await lives.entries()).get('a')?.error).toMatch(/JSON/)
    expect(lives.counts()).toMatchObject({ delivered: 1, rejected: 1, requests: 2, attempts: 2 })
  })
})

describe('captured values of a batch', () => {
  const capture = { id: '$.id' }
  const RESULTS = [{ items: '$.results[*]', row: { mail: '$.mail' }, as: 'delivered' }]

  it('are of the item that names the row', async () => {
    await lives.begin([...'abc'], { errors: { rowResults: RESULTS }, trigger: { capture } })
    const results = ['c', 'a'].map(key => ({ mail: `${key}@x`, id: `id-${key}` }))
    lives.api = () => ({ status: 200, body: { results } })
    await lives.finish()
    expect(await lives.captured()).toEqual({ a: '{"id":"id-a"}', c: '{"id":"id-c"}' })
    expect((await lives.attempts())[0]?.error).toMatch(
      /not captured: id .*no item of the answer names the row/,
    )
  })

  it('are kept of a row that arrives by an answer that rejects others', async () => {
    await lives.begin([...'ab'], { errors: { rowResults: RESULTS }, trigger: { capture } })
    lives.api = () => ({ status: 400, body: { results: [{ mail: 'b@x', id: 7 }] } })
    await lives.finish()
    expect(await lives.captured()).toEqual({ b: '{"id":7}' })
    expect(await lives.outcomes()).toBe('a:rejected')
  })
})

describe('an answer that lies', () => {
  const BOTH = [{ items: '$.results[*]', row: { index: '$.index' }, as: 'delivered' }, ...BY_INDEX]
  const tell = async (reply: Reply, rowResults: readonly object[] = BOTH): Promise<string> => {
    await lives.begin([...'abc'], { errors: { rowResults } })
    lives.api = () => reply
    await lives.finish()
    const { delivered, rejected, unknown, unsent } = lives.counts()
    expect(delivered + rejected + unknown + unsent).toBe(3)
    return lives.outcomes()
  }
  const errors = (...items: readonly unknown[]): Reply => ({ status: 207, body: { errors: items } })

  it.each<[string, Reply, string]>([
    [
      'has an index out of range',
      errors({ index: 3 }, { index: -1 }, { index: 1 }),
      'a:unknown b:rejected c:unknown',
    ],
    [
      'has an index that is no number',
      errors({ index: '1x' }, { index: 1.5 }, { index: null }, { index: { a: 1 } }, 5),
      'a:unknown b:unknown c:unknown',
    ],
    ['has an index as text', errors({ index: '2' }), 'c:rejected'],
    ['names a row twice', errors({ index: 1 }, { index: 1 }), 'b:rejected'],
    ['has no JSON', { status: 200, body: '<html>' }, ''],
    [
      'has no JSON, and a status that says no',
      { status: 400, body: '<html>' },
      'a:rejected b:rejected c:rejected',
    ],
    ['has other JSON', { status: 200, body: { errors: 'none', results: null } }, ''],
    [
      'names a row in both lists: the first rule decides',
      { status: 207, body: { results: [{ index: 0 }], errors: [{ index: 0 }, { index: 1 }] } },
      'b:rejected',
    ],
    [
      'is longer than what is looked at: nobody knows',
      { status: 200, body: { errors: [], pad: 'x'.repeat(10_000_000) } },
      'a:unknown b:unknown c:unknown',
    ],
  ])('%s', async (_, reply, left) => {
    expect(await tell(reply)).toBe(left)
  })

  it.each<[string, object, string]>([
    ['arrived', { results: [{ index: 9 }], errors: [{ index: 1 }] }, 'a:unknown b:rejected c:unknown'],
    [
      'was rejected',
      { results: [], errors: [{ index: 1 }, { index: 9 }] },
      'a:rejected b:rejected c:rejected',
    ],
  ])('rejects, and has an item of nobody that %s: that may be of any row', async (_, body, left) => {
    expect(await tell({ status: 400, body })).toBe(left)
  })

  it('says in its attempt that an item names no row, which makes all rows unknown that none names', async () => {
    const left = await tell(errors({ index: 1 }, { index: 9 }))
    expect(left).toBe('a:unknown b:rejected c:unknown')
    const error = expect.stringContaining('($.errors[*]: item 1 names no row of the request)')
    expect((await lives.attempts())[0]).toMatchObject({ error })
  })

  it('names rows by their place, as far as there are both', async () => {
    const rules = [
      { items: '$[*]', json: '$.error', as: 'rejected', error: '$.error' },
      { items: '$[*]', as: 'delivered' },
    ]
    const reply = { status: 200, body: [{}, { error: 'no' }, { error: false }, { error: 'of nobody' }] }
    expect(await tell(reply, rules)).toBe('b:rejected')
  })
})
