/** The partition to which a key belongs. Records in other partitions mean nothing for it. */
import { describe, expect, it } from 'vitest'
import type { Captured } from '@sluice/contracts/records'
import type { DeliveredState, DetectedChange, StateFeed } from '../src/port.ts'
import { changesOf, type DeliveredStateHarness, requestFor, TIMEOUT } from './harness.ts'
import { entryOf, ONE } from './played.ts'

const NONE = `${ONE} LIMIT 0`
const PARTITIONS = 3

/** A detected change as a record of `changes`, at the offset and the time of its run. */
function placed(found: DetectedChange, run: number, seq = 0): NonNullable<StateFeed['changes']> {
  const { partition: _, ...change } = found
  const record = { offset: run, timestamp: run, change: { ...change, run, seq, replayed: null } }
  return { records: [record], nextOffset: run + 1 }
}

function capturedIn(run: number, id: string | null): NonNullable<StateFeed['captured']> {
  const values = JSON.stringify({ id })
  const value: Captured | null = id === null ? null : { incarnation: 'i', owner: 0, run, seq: 0, values }
  return { records: [{ key: '1', value }], nextOffset: run + 1 }
}

export function rememberedPartitionsSuite(name: string, harness: () => DeliveredStateHarness): void {
  const open = (file = 'partitions') => harness().open({ name: file, partitions: PARTITIONS })
  const diff = async (state: DeliveredState, sql: string, options = {}) =>
    changesOf(await state.diff(await requestFor(harness(), sql, options)))
  const only = async (state: DeliveredState, sql: string): Promise<DetectedChange> => {
    const { changes } = await diff(state, sql)
    const [change] = changes
    if (change === undefined || changes.length > 1) throw new Error(`found ${changes.length} changes`)
    return change
  }
  const take = async (state: DeliveredState, ...feeds: readonly StateFeed[]): Promise<void> => {
    for (const feed of feeds) await state.feed(feed)
    await state.commit()
  }
  const retry = (key: string, run: number, entry: ReturnType<typeof entryOf> | null) => ({
    records: [{ key, value: entry }],
    nextOffset: run + 1,
  })

  describe(`${name}: the partition of a key`, TIMEOUT, () => {
    it('is open for a key that nobody knows, and remembered once it stands somewhere', async () => {
      await using state = await open()
      const added = await only(state, ONE)
      expect(added.partition).toBeNull()
      await take(state, { partition: 2, changes: placed(added, 1) })
      expect(await only(state, ONE.replace('10', '11'))).toMatchObject({ op: 'changed', partition: 2 })
      expect(await only(state, NONE)).toMatchObject({ op: 'removed', partition: 2 })
      const both = await diff(state, `SELECT '0' AS id, 1 AS v UNION ALL ${ONE.replace('10', '11')}`)
      expect(both.changes.map(({ op, partition }) => [op, partition])).toEqual([
        ['changed', 2],
        ['added', null],
      ])
    })

    it('is remembered while a retry entry is open, and named by the entry that ends', async () => {
      await using state = await open()
      const entry = entryOf('added', 'rejected', { run: 1, seq: 0 })
      const change = placed(await only(state, ONE), 1)
      await take(state, { partition: 1, changes: change }, { partition: 1, retry: retry('1', 1, entry) })
      expect(await only(state, ONE)).toMatchObject({ op: 'added', partition: 1, retried: { attempts: 2 } })
      const { changes, endsRetry } = await diff(state, NONE)
      expect(changes).toMatchObject([{ op: 'settled', partition: 1 }])
      expect(endsRetry).toEqual([{ partition: 1, key: '1' }])
      const [settled] = changes
      if (settled === undefined) throw new Error('nothing settled')
      await take(state, { partition: 1, changes: placed(settled, 2), retry: retry('1', 2, null) })
      expect(await only(state, ONE)).toMatchObject({ op: 'added', partition: null })
    })

    it.each([
      ['baseline', { baseline: true }] as const,
      ['an op without a trigger', { opsWithTrigger: new Set() }] as const,
    ])(
      'is open for rows that are settled for the first time, by %s, and remembered then',
      async (_, options) => {
        await using state = await open()
        const { changes } = await diff(state, ONE, options)
        expect(changes).toMatchObject([{ op: 'settled', partition: null }])
        const [settled] = changes
        if (settled === undefined) throw new Error('nothing settled')
        await take(state, { partition: 1, changes: placed(settled, 1) })
        const again = await diff(state, ONE.replace('10', '11'), options)
        expect(again.changes).toMatchObject([{ op: 'settled', partition: 1 }])
      },
    )

    it('is remembered where a new column is adopted', async () => {
      await using state = await open()
      await take(state, { partition: 1, changes: placed(await only(state, ONE), 1) })
      expect(await only(state, `${ONE}, 'x' AS extra`)).toMatchObject({ op: 'settled', partition: 1 })
    })

    it('is remembered for a muted key that is absent', async () => {
      await using state = await open()
      const settled = { ...(await only(state, ONE)), op: 'settled', settledState: 'absent' } as const
      await take(state, { partition: 1, changes: placed({ ...settled, after: null, muted: '3:0' }, 1) })
      expect(await only(state, ONE)).toMatchObject({ op: 'added', partition: 1 })
    })

    it('is open again once the key is gone, with its captured values', async () => {
      await using state = await open()
      await take(state, {
        partition: 2,
        changes: placed(await only(state, ONE), 1),
        captured: capturedIn(1, 'old'),
      })
      const removed = await only(state, NONE)
      expect(removed).toMatchObject({ partition: 2, captured: '{"id":"old"}' })
      await take(state, {
        partition: 2,
        changes: placed(removed, 2),
        captured: capturedIn(2, null),
      })
      const added = await only(state, ONE)
      expect(added).toMatchObject({ partition: null, captured: null })
      await take(state, { partition: 0, changes: placed(added, 3) })
      expect(await only(state, NONE)).toMatchObject({ partition: 0, captured: null })
    })

    it.each(['live', 'rebuilt'])(
      'is remembered for a key that is gone while nobody has ended its captured values: %s',
      async how => {
        const feeds: StateFeed[] = []
        await using live = await open()
        const next = async (partition: number, sql: string, run: number): Promise<void> => {
          feeds.push({ partition, changes: placed(await only(live, sql), run) })
          await take(live, ...feeds.slice(-1))
        }
        await next(2, ONE, 1)
        feeds.push({ partition: 2, captured: capturedIn(1, 'old') })
        await take(live, ...feeds.slice(-1))
        await next(2, NONE, 2)
        await using rebuilt = await open('rebuilt')
        await take(rebuilt, ...feeds)
        const state = how === 'live' ? live : rebuilt
        const gone = { partition: 2, beforeState: 'absent', captured: '{"id":"old"}' }
        expect(await only(state, NONE)).toMatchObject({ ...gone, op: 'settled', settledState: 'absent' })
        expect(await only(state, ONE)).toMatchObject({ ...gone, op: 'added' })
        await take(state, { partition: 2, captured: capturedIn(2, null) })
        expect(await only(state, ONE)).toMatchObject({ op: 'added', partition: null, captured: null })
      },
    )
  })

  describe(`${name}: a key that has moved`, TIMEOUT, () => {
    /** Added and removed in partition 2, then added in partition 0, where the API refused it. */
    async function lifeOf(file: string): Promise<{ readonly old: StateFeed[]; readonly now: StateFeed[] }> {
      await using state = await open(file)
      const added = placed(await only(state, ONE), 1)
      const first: StateFeed[] = [
        { partition: 2, changes: added },
        { partition: 2, captured: capturedIn(1, 'old') },
      ]
      await take(state, ...first)
      const removed: StateFeed[] = [
        { partition: 2, changes: placed(await only(state, NONE), 2) },
        { partition: 2, retry: retry('1', 2, null) },
        { partition: 2, captured: capturedIn(2, null) },
      ]
      await take(state, ...removed)
      const entry = entryOf('added', 'unknown', { run: 3, seq: 0 })
      const now: StateFeed[] = [
        { partition: 0, changes: placed(await only(state, ONE.replace('10', '11')), 3) },
        { partition: 0, retry: retry('1', 3, entry) },
        { partition: 0, captured: capturedIn(3, 'new') },
      ]
      return { old: [...first, ...removed], now }
    }

    const expectNow = async (state: DeliveredState): Promise<void> => {
      expect(await only(state, ONE)).toMatchObject({
        op: 'added',
        partition: 0,
        beforeState: 'existence-uncertain',
        before: { v: 11 },
        captured: '{"id":"new"}',
        retried: { outcome: 'unknown' },
      })
    }

    it.each(['old first', 'new first'])(
      'is as its highest run left it, whatever is fed first: %s',
      async order => {
        const { old, now } = await lifeOf('life')
        await using state = await open()
        await take(state, ...(order === 'old first' ? [...old, ...now] : [...now, ...old]))
        await expectNow(state)
      },
    )

    it.each(['old first', 'new first'])('stays so when its old partition ends it: %s', async order => {
      const { old, now } = await lifeOf('life')
      const end = { offset: 7, key: '1', change: null }
      const ended: StateFeed = { partition: 2, changes: { records: [end], nextOffset: 8 } }
      await using state = await open()
      await take(state, ...(order === 'old first' ? [...old, ended, ...now] : [...now, ...old, ended]))
      await expectNow(state)
    })

    it('stays so when old records come later', async () => {
      const { old, now } = await lifeOf('life')
      await using state = await open()
      await take(state, ...now)
      await take(state, ...old)
      await expectNow(state)
    })

    it('has the outcome that its own partition tells of that run and seq', async () => {
      await using state = await open()
      const entry = entryOf('added', 'rejected', { run: 1, seq: 0 })
      const change = placed(await only(state, ONE), 1)
      await take(state, { partition: 0, changes: change }, { partition: 1, retry: retry('1', 1, entry) })
      expect((await diff(state, ONE)).changes).toEqual([])
      expect(await only(state, NONE)).toMatchObject({ op: 'removed', partition: 0, retried: null })
    })

    it('is one row, even if entries are open for it in two partitions', async () => {
      await using state = await open()
      const entry = (run: number) => retry('1', run, entryOf('added', 'rejected', { run, seq: 0 }))
      await take(state, { partition: 2, retry: entry(1) }, { partition: 0, retry: entry(3) })
      expect(await only(state, ONE)).toMatchObject({ op: 'added', partition: 0 })
    })
  })
}
