/**
 * The promises of an index of history. A plain list of the same attempts says what each search has to find.
 */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { seedOf } from '@sluice/testkit/seeded-random'
import type {
  AttemptFacts,
  AttemptSearch,
  FoundAttempt,
  HistoryIndex,
  Place,
  RunPlace,
  SearchPlace,
  SyncLife,
} from '../src/port.ts'

export interface IndexHarness {
  open(options: {
    readonly file: string
    readonly keepsBodies?: boolean
    readonly maxBytes?: number
    readonly maxSearchMs?: number
    readonly onRenew?: (why: string) => void
  }): HistoryIndex
}

const { signal } = new AbortController()
const LIFE: SyncLife = { sync: 'people', incarnation: 'i1' }
const OTHER: SyncLife = { sync: 'orders', incarnation: 'i2' }
const ATTEMPTS: Place = { ...LIFE, topic: 'attempts', partition: 0 }
const CHANGES: Place = { ...LIFE, topic: 'changes', partition: 0 }

const ANY: AttemptSearch = {
  ...{ lives: [LIFE, OTHER], run: null, key: null, trigger: null, status: null, outcome: null },
  ...{ since: null, until: null, search: null, searchesBodies: false, limit: 100, before: null },
}

export function historyIndexContract(name: string, harness: IndexHarness): void {
  describe(`the index of history: ${name}`, () => {
    let folder: string
    let index: HistoryIndex
    const file = (): string => join(folder, 'history.db')
    const reopen = async (options: Omit<Parameters<IndexHarness['open']>[0], 'file'> = {}): Promise<void> => {
      await index[Symbol.asyncDispose]()
      index = harness.open({ file: file(), ...options })
    }
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'sluice-history-'))
      index = harness.open({ file: file() })
    })
    afterEach(async () => {
      await index[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    })

    it('finds in random histories what a look at each attempt finds, page by page', async () => {
      const seed = seedOf()
      const random = randomFrom(seed)
      await reopen({ keepsBodies: true })
      const all = fill(index, 400, random)
      for (let i = 0; i < 100; i += 1) {
        const search = randomSearch(random, all)
        const wanted = all.filter(one => matches(search, one)).map(placeOf)
        const found = await allPages(index, search)
        expect(found.map(placeOf).toSorted(), `seed ${seed}, ${JSON.stringify(search)}`).toEqual(
          wanted.toSorted(),
        )
        expect(found.map(({ startedAt }) => startedAt)).toEqual(
          found.map(({ startedAt }) => startedAt).toSorted((a, b) => b - a),
        )
      }
    })

    it('pages on where it was, whatever comes meanwhile', async () => {
      addAttempts(
        index,
        [1, 2, 3, 4].map(n => sampleFacts(n)),
      )
      const first = await index.search({ ...ANY, limit: 2 }, { signal })
      addAttempts(index, [sampleFacts(5), sampleFacts(6, { startedAt: 3_000 })])
      const rest = await index.search({ ...ANY, limit: 2, before: first.placeAfter(2) }, { signal })
      expect([...first.attempts, ...rest.attempts].map(({ seq }) => seq)).toEqual([4, 3, 2, 1])
      expect(rest.hasMore).toBe(false)
    })

    it('keeps apart attempts that started in the same millisecond', async () => {
      const many = Array.from({ length: 5_000 }, (_, n) => sampleFacts(n, { startedAt: 7 }))
      for (let i = 0; i < many.length; i += 1_000) addAttempts(index, many.slice(i, i + 1_000))
      const found = await allPages(index, { ...ANY, limit: 1_000, since: 7, until: 8 })
      expect(found).toHaveLength(5_000)
      expect(new Set(found.map(({ seq }) => seq)).size).toBe(5_000)
    })

    it('sorts and keeps attempts of any century', async () => {
      const today = Date.UTC(2026, 10, 26)
      const times = [0, today, Date.UTC(2108, 0), Number.MAX_SAFE_INTEGER]
      addAttempts(
        index,
        times.map((startedAt, n) => sampleFacts(n, { startedAt })),
      )
      while (index.sweep({ before: today, lives: [LIFE] })) continue
      expect((await allPages(index, ANY)).map(({ seq }) => seq)).toEqual([3, 2, 1])
      expect(
        (await allPages(index, { ...ANY, since: today, until: today + 1 })).map(({ seq }) => seq),
      ).toEqual([1])
    })

    it('remembers what it holds, and the place after it', async () => {
      addAttempts(index, [sampleFacts(1)], 17)
      index.addMentions({ place: CHANGES, mentions: [{ key: 'a', offset: 3, at: 1 }], next: 9 })
      await reopen()
      expect([index.position(ATTEMPTS), index.position(CHANGES)]).toEqual([17, 9])
      expect(index.position({ ...ATTEMPTS, partition: 1 })).toBeNull()
      expect((await index.search(ANY, { signal })).attempts).toHaveLength(1)
      expect(await index.mentions({ ...LIFE, key: 'a', limit: 5 }, { signal })).toEqual([
        { place: CHANGES, offset: 3 },
      ])
    })

    it('stores a batch with its place, or nothing of it', async () => {
      addAttempts(index, [sampleFacts(1)], 2)
      const broken = { ...sampleFacts(3), durationMs: Number.NaN }
      expect(() => addAttempts(index, [sampleFacts(2), broken], 4)).toThrow()
      expect(index.position(ATTEMPTS)).toBe(2)
      expect((await index.search(ANY, { signal })).attempts.map(({ seq }) => seq)).toEqual([1])
    })

    it('finds where a key is mentioned, the latest first, and no other key of another sync', async () => {
      const at = (offset: number, key: string) => ({ key, offset, at: offset })
      index.addMentions({ place: CHANGES, mentions: [at(1, 'a'), at(2, 'b'), at(3, 'a')], next: 4 })
      const retry: Place = { ...LIFE, topic: 'retry', partition: 1 }
      index.addMentions({ place: retry, mentions: [at(2, 'a')], next: 4 })
      index.addMentions({ place: { ...CHANGES, ...OTHER }, mentions: [at(9, 'a')], next: 4 })
      const find = (key: string, limit: number) => index.mentions({ ...LIFE, key, limit }, { signal })
      const places = await find('a', 9)
      expect(places.map(({ place, offset }) => [place.topic, offset])).toEqual([
        ['changes', 3],
        ['retry', 2],
        ['changes', 1],
      ])
      expect(await find('a', 1)).toHaveLength(1)
      expect(await find('c', 9)).toEqual([])
    })

    it('counts the attempts of a run by second, outcome and duration, and nothing that was never sent', async () => {
      addAttempts(index, [
        sampleFacts(1),
        sampleFacts(1, { durationMs: 1_000 }),
        sampleFacts(2, { runId: 'R2' }),
        sampleFacts(1, { attempt: 0, outcome: 'unsent' }),
      ])
      addAttempts(index, [sampleFacts(1, { outcome: 'rejected' }), sampleFacts(1)])
      const found = await index.counts(runPlace('R1'), { signal })
      const figures = found.map(({ second, outcome, count }) => `${second} ${outcome} ${count}`)
      expect(figures.toSorted()).toEqual(['1 delivered 1', '1 delivered 2', '1 rejected 1'])
      expect(await index.counts(runPlace('R9'), { signal })).toEqual([])
    })

    it('counts the attempts of a run by status and error, as many as are asked for', async () => {
      const failed = { outcome: 'rejected', status: 422, error: 'no e-mail' } as const
      addAttempts(index, [
        sampleFacts(1),
        sampleFacts(1, failed),
        sampleFacts(2, failed),
        sampleFacts(2, { ...failed, runId: 'R2' }),
        sampleFacts(3, { outcome: 'unknown', status: null, error: 'time-out' }),
      ])
      const answers = async (limit: number) =>
        (await index.answers({ ...runPlace('R1'), limit }, { signal }))
          .map(({ outcome, status, error, count }) => [outcome, status, error, count].join(' '))
          .toSorted()
      expect(await answers(100)).toEqual([
        `delivered ${sampleFacts(1).status ?? ''}  1`,
        'rejected 422 no e-mail 2',
        'unknown  time-out 1',
      ])
      expect((await answers(2)).length).toBeLessThanOrEqual(2)
    })

    it('forgets what is too old, with all that led there, and keeps the last mention of a key', async () => {
      const failed = { error: 'HTTP 500: dead', outcome: 'unknown' } as const
      addAttempts(index, [sampleFacts(1, { ...failed, runId: 'OLD' }), sampleFacts(9, failed)])
      const mentions = [1, 2, 9].map(offset => ({ key: offset < 9 ? 'a' : 'b', offset, at: offset }))
      index.addMentions({ place: CHANGES, mentions, next: 10 })
      while (index.sweep({ before: 5_000, lives: [LIFE] })) continue
      expect((await allPages(index, ANY)).map(({ seq }) => seq)).toEqual([9])
      expect((await allPages(index, { ...ANY, search: 'dead' })).map(({ seq }) => seq)).toEqual([9])
      expect((await allPages(index, { ...ANY, key: 'k1' })).map(({ seq }) => seq)).toEqual([])
      expect(index.run('OLD')).toBeNull()
      expect(await index.counts(runPlace('OLD'), { signal })).toEqual([])
      const mentioned = await index.mentions({ ...LIFE, key: 'a', limit: 9 }, { signal })
      expect(mentioned.map(({ offset }) => offset)).toEqual([2])
    })

    it('forgets another life of a sync, and no sync that nobody knows of', async () => {
      addAttempts(index, [sampleFacts(1)])
      index.addAttempts({
        place: { ...ATTEMPTS, ...OTHER },
        attempts: [sampleFacts(2, { runId: 'R2' })],
        next: 1,
      })
      while (index.sweep({ before: 0, lives: [{ ...LIFE, incarnation: 'new' }] })) continue
      expect((await index.search(ANY, { signal })).attempts.map(({ seq }) => seq)).toEqual([2])
      expect(index.position(ATTEMPTS)).toBeNull()
    })

    it('gives up the oldest attempts when it grows too large', async () => {
      await reopen({ maxBytes: 400_000 })
      for (let n = 0; n < 4_000; n += 500)
        addAttempts(
          index,
          Array.from({ length: 500 }, (_, i) => sampleFacts(n + i)),
        )
      while (index.sweep({ before: 0, lives: [LIFE] })) continue
      const { attempts, bytes } = index.size()
      expect(bytes).toBeLessThanOrEqual(400_000)
      expect(attempts).toBeGreaterThan(100)
      expect((await index.search({ ...ANY, limit: 1 }, { signal })).attempts[0]?.seq).toBe(3_999)
    })

    it('begins again with an empty file if it cannot read what it finds', async () => {
      addAttempts(index, [sampleFacts(1)])
      await index[Symbol.asyncDispose]()
      writeFileSync(file(), 'no database at all, but a text of some length, as somebody else might write')
      const renewed: string[] = []
      index = harness.open({ file: file(), onRenew: why => renewed.push(why) })
      expect(renewed).toHaveLength(1)
      expect([index.position(ATTEMPTS), index.size().attempts]).toEqual([null, 0])
    })

    it('keeps its file from others', () => {
      expect(statSync(file()).mode & 0o777).toBe(0o600)
      addAttempts(index, [sampleFacts(1)])
      expect(statSync(`${file()}-wal`).mode & 0o077).toBe(0)
    })

    it('lets no second process in', () => {
      expect(() => harness.open({ file: file() })).toThrow(expect.objectContaining({ code: 'conflict' }))
    })

    it('ends a page early where a text is hard to find, and goes on from there', async () => {
      await reopen({ keepsBodies: true, maxSearchMs: -1 })
      const details = { requestHeaders: {}, requestBody: 'common', responseHeaders: {}, responseBody: null }
      const rare = { details: { ...details, responseBody: 'RARE' } }
      const many = Array.from({ length: 1_100 }, (_, n) => sampleFacts(n, n === 0 ? rare : { details }))
      addAttempts(index, many)
      const search = { ...ANY, search: 'rare', searchesBodies: true, limit: 5 }
      const first = await index.search(search, { signal })
      expect([first.attempts, first.hasMore]).toEqual([[], true])
      expect((await allPages(index, search)).map(({ seq }) => seq)).toEqual([0])
    })
  })
}

function runPlace(id: string): RunPlace {
  return { ...LIFE, run: { id, number: 1 } }
}

function addAttempts(index: HistoryIndex, attempts: readonly AttemptFacts[], next = 1): void {
  index.addAttempts({ place: ATTEMPTS, attempts, next })
}

function sampleFacts(n: number, fields: Partial<AttemptFacts> = {}): AttemptFacts {
  return {
    ...{ run: 1, runId: 'R1', seq: n, requestOffset: n, offset: n, attempt: 1, trigger: 'added' },
    ...{ outcome: 'delivered', status: 200, error: null, method: 'PUT', url: `http://api/${n}` },
    ...{ startedAt: n * 1_000, durationMs: 10, keys: [`k${n}`], details: null },
    ...fields,
  }
}

type Listed = AttemptFacts & SyncLife & { readonly partition: number }

const ERRORS = [null, 'HTTP 422: no E-Mail', 'HTTP 500: "quoted"', 'é timed out', 'ab']
const OUTCOMES = ['delivered', 'rejected', 'unknown', 'throttled'] as const

/** Fills the index with attempts of two syncs, partly out of order, and returns them. */
function fill(index: HistoryIndex, count: number, random: Random): readonly Listed[] {
  const all: Listed[] = []
  for (let n = 0; n < count; n += 1) {
    const life = random.pick([LIFE, OTHER])
    const run = 1 + Math.floor((n * 6) / count)
    const details = { requestHeaders: {}, requestBody: random.pick(['{"a":1}', null]), responseHeaders: {} }
    const facts = sampleFacts(n, {
      ...{ run, runId: `${life.sync}${run}`, trigger: random.pick(['added', 'removed']) },
      ...{ outcome: random.pick(OUTCOMES), status: random.pick([200, 422, 429, 500, null]) },
      ...{ error: random.pick(ERRORS), startedAt: 1_000 * run + random.below(30) * 10 },
      keys: Array.from({ length: random.below(4) }, () => `k${random.below(20)}`),
      details: { ...details, responseBody: random.pick(['', 'e-mail twice', 'ok']) },
    })
    const partition = random.below(3)
    index.addAttempts({ place: { ...ATTEMPTS, ...life, partition }, attempts: [facts], next: n + 1 })
    all.push({ ...facts, ...life, partition })
  }
  return all
}

function randomSearch(random: Random, all: readonly Listed[]): AttemptSearch {
  const maybe = <T>(value: () => T): T | null => (random.below(3) === 0 ? value() : null)
  const one = random.pick(all)
  return {
    lives: random.pick([[LIFE, OTHER], [LIFE], [OTHER], [{ ...LIFE, incarnation: 'none' }, OTHER]]),
    run: maybe(() => ({ id: one.runId, number: one.run })),
    key: maybe(() => `k${random.below(22)}`),
    trigger: maybe(() => one.trigger),
    status: maybe(() =>
      random.pick([
        { from: 400, to: 499 },
        { from: 422, to: 422 },
      ]),
    ),
    outcome: maybe(() => one.outcome),
    since: maybe(() => one.startedAt),
    until: maybe(() => random.pick(all).startedAt),
    search: maybe(() => random.pick(['e-mail', 'http', '"quoted"', 'é', 'ab', 'nowhere', '%', 'timed'])),
    searchesBodies: random.below(2) === 0,
    limit: random.pick([5, 20, 100]),
    before: null,
  }
}

/** The plain look at one attempt. */
function matches(search: AttemptSearch, one: Listed): boolean {
  const { lives, run, key, trigger, status, outcome, since, until } = search
  const bodies = search.searchesBodies ? [one.details?.requestBody, one.details?.responseBody] : []
  const texts = [one.error, ...bodies].map(text => text?.toLowerCase() ?? '')
  return (
    lives.some(({ sync, incarnation }) => sync === one.sync && incarnation === one.incarnation) &&
    (run === null || one.runId === run.id) &&
    (key === null || one.keys.includes(key)) &&
    (trigger === null || one.trigger === trigger) &&
    (status === null || (one.status !== null && one.status >= status.from && one.status <= status.to)) &&
    (outcome === null || one.outcome === outcome) &&
    (since === null || one.startedAt >= since) &&
    (until === null || one.startedAt < until) &&
    (search.search === null || texts.some(text => text.includes(search.search ?? '')))
  )
}

async function allPages(index: HistoryIndex, search: AttemptSearch): Promise<readonly FoundAttempt[]> {
  const found: FoundAttempt[] = []
  let before: SearchPlace | null = null
  for (let hasMore = true; hasMore;) {
    const page = await index.search({ ...search, before }, { signal })
    found.push(...page.attempts)
    before = page.placeAfter(page.attempts.length)
    hasMore = page.hasMore
  }
  return found
}

function placeOf({ sync, partition, seq }: SyncLife & { partition: number; seq: number }): string {
  return `${sync}/${partition}/${seq}`
}
