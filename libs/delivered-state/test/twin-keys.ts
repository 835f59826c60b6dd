/** Keys that an API may take for one: the removal of the one and the row of the other go in order. */
import { describe, expect, it } from 'vitest'
import type { DeliveredState, DetectedChange, DiffRequest } from '../src/port.ts'
import { changesOf, type DeliveredStateHarness, requestFor, TIMEOUT } from './harness.ts'
import { entryOf } from './played.ts'

const PARTITIONS = 3
const LONG = 'x'.repeat(70)

const modelOf = (...ids: readonly string[]): string =>
  ids.map(id => `SELECT '${id}' AS id, 10 AS v`).join(' UNION ALL ') || `${modelOf('a')} LIMIT 0`

/** The key that was, the key that is, and the form that both have. */
const TWINS: readonly (readonly [name: string, was: string, is: string, form: string])[] = [
  ['letter case', 'Ann@X.com', 'ann@x.com', 'ann@x.com'],
  ['Unicode form', 'Zo\u00eb', 'Zoe\u0308', 'zoe'],
  ['accents', 'Zoë', 'Zoe', 'zoe'],
  ['blanks around', '\u00a0ann ', '\tann\u3000', 'ann'],
  ['blanks within', 'ann  lee', 'ann lee', 'annlee'],
  ['letters without a lower case of one character', 'İa', 'ia', 'ia'],
]

export function twinKeysSuite(name: string, harness: () => DeliveredStateHarness): void {
  const open = () => harness().open({ name: 'twins', partitions: PARTITIONS })
  const diff = async (state: DeliveredState, sql: string, options: Partial<DiffRequest> = {}) => {
    const found = await state.diff(await requestFor(harness(), sql, options))
    return { ...(await changesOf(found)), removalsFirst: found.removalsFirst }
  }
  /** Takes changes in as those of a run, each in its partition or in the one given. Those listed failed. */
  const take = async (
    state: DeliveredState,
    run: number,
    of: {
      readonly changes: readonly DetectedChange[]
      readonly to?: number
      readonly failed?: readonly string[]
      readonly outcome?: 'rejected' | 'unknown'
    },
  ): Promise<void> => {
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      const own = of.changes.filter(change => (change.partition ?? of.to ?? 0) === partition)
      const records = own.map(({ partition: _, ...change }, seq) => ({
        offset: run * 100 + seq,
        timestamp: run,
        change: { ...change, run, seq, replayed: null },
      }))
      const retry = records.map(({ change: { key, op, seq } }) => {
        const isFailed = op !== 'settled' && of.failed?.includes(key) === true
        return { key, value: isFailed ? entryOf(op, of.outcome ?? 'rejected', { run, seq }) : null }
      })
      const nextOffset = (run + 1) * 100
      await state.feed({ partition, changes: { records, nextOffset }, retry: { records: retry, nextOffset } })
    }
    await state.commit()
  }
  /** A state that has these keys in a partition. */
  const withKeys = async (partition: number, ...keys: readonly string[]): Promise<DeliveredState> => {
    const state = await open()
    await take(state, 1, { ...(await diff(state, modelOf(...keys))), to: partition })
    return state
  }
  const brief = (changes: readonly DetectedChange[]) =>
    changes.map(({ op, key, partition, beforeState }) => [op, key, partition, beforeState])
  const PRESENT = 'present'

  describe(`${name}: keys that an API may take for one`, TIMEOUT, () => {
    it.each(TWINS)('ask for removals first where they differ in %s', async (_, was, is) => {
      await using state = await withKeys(2, was, 'other')
      const { changes, removalsFirst } = await diff(state, modelOf('new', is, 'other'))
      expect(removalsFirst).toBe(true)
      expect(brief(changes)).toEqual([
        ['removed', was, 2, PRESENT],
        ['added', 'new', null, 'absent'],
        ['added', is, null, 'absent'],
      ])
      expect((await diff(state, modelOf('new', was, 'other'))).removalsFirst).toBe(false)
      expect((await diff(state, modelOf('new', 'other'))).removalsFirst).toBe(false)
    })

    it('do so though they have several columns, or are known by digests while they are compared', async () => {
      await using state = await open()
      const keyed = (a: string, b: string): string => `SELECT '${a}' AS id, '${b}' AS part, 10 AS v`
      const primaryKey = ['id', 'part']
      const first = `${keyed('eu', 'Ann ')} UNION ALL ${keyed('eu', `Á${LONG}`)}`
      await take(state, 1, { ...(await diff(state, first, { primaryKey })), to: 1 })
      const left = (sql: string) => diff(state, sql, { primaryKey })
      expect(await left(keyed('EU', 'ann'))).toMatchObject({ removalsFirst: true })
      expect(await left(keyed('eu', `á${LONG}`))).toMatchObject({ removalsFirst: true })
      expect(await left(keyed('eu', `á${LONG}x`))).toMatchObject({ removalsFirst: false })
    })

    it('do so for a removal that is tried again', async () => {
      await using state = await withKeys(2, 'Ann')
      const { changes } = await diff(state, modelOf())
      await take(state, 2, { changes, failed: ['Ann'] })
      expect(await diff(state, modelOf('ann'))).toMatchObject({ removalsFirst: true })
    })

    it('do not if no removal is sent, or none is due', async () => {
      await using state = await withKeys(2, 'Ann')
      const opsWithTrigger = new Set(['added', 'changed'] as const)
      const unsent = await diff(state, modelOf('ann'), { opsWithTrigger })
      expect(unsent.removalsFirst).toBe(false)
      expect(brief(unsent.changes)).toEqual([
        ['settled', 'Ann', 2, PRESENT],
        ['added', 'ann', null, 'absent'],
      ])
      const both = await diff(state, modelOf('Ann', 'ann'))
      expect(both.removalsFirst).toBe(false)
      expect(brief(both.changes)).toEqual([['added', 'ann', null, 'absent']])
    })

    it('do not where keys are nothing but blanks', async () => {
      await using state = await withKeys(2, ' ', '\u0007', 'k')
      expect(await diff(state, modelOf('\t', '\u0007', 'k'))).toMatchObject({ removalsFirst: false })
    })

    it('are less certain where one is removed and the other one is sent, so that a failure leaves them so', async () => {
      await using state = await withKeys(1, 'Ann', 'ann')
      const changed = "SELECT 'ann' AS id, 11 AS v"
      expect(brief((await diff(state, changed)).changes)).toEqual([
        ['removed', 'Ann', 1, PRESENT],
        ['changed', 'ann', 1, 'content-uncertain'],
      ])
      const told = await diff(state, changed, { tellsExists: true })
      expect(brief(told.changes)).toEqual([
        ['removed', 'Ann', 1, PRESENT],
        ['added', 'ann', 1, 'existence-uncertain'],
      ])
      await take(state, 2, { ...(await diff(state, changed)), failed: ['Ann'], outcome: 'unknown' })
      const repeated = await diff(state, "SELECT 'ann' AS id, 12 AS v")
      expect(repeated.removalsFirst).toBe(true)
      expect(brief(repeated.changes)).toEqual([
        ['removed', 'Ann', 1, 'existence-uncertain'],
        ['added', 'ann', 1, 'existence-uncertain'],
      ])
    })

    it('may be gone with the first of them, if several are removed', async () => {
      await using state = await withKeys(1, 'Ann', 'ann', 'bob')
      expect(brief((await diff(state, modelOf())).changes)).toEqual([
        ['removed', 'Ann', 1, 'existence-uncertain'],
        ['removed', 'ann', 1, 'existence-uncertain'],
        ['removed', 'bob', 1, PRESENT],
      ])
    })

    it.each([
      [{}, 'existence-uncertain', 'added'],
      [{ opsWithTrigger: new Set(['changed', 'removed'] as const) }, 'content-uncertain', 'changed'],
    ] as const)(
      'are sent as added after a removal of unknown outcome, if they can: %o',
      async (of, doubt, again) => {
        await using state = await withKeys(1, 'Ann')
        const first = await diff(state, modelOf('ann'))
        await take(state, 2, { ...first, to: 2, failed: ['Ann'], outcome: 'unknown' })
        const repeated = await diff(state, modelOf('ann'), of)
        expect(repeated.changes).toMatchObject([
          { op: 'settled', key: 'ann', settledState: doubt },
          { op: 'removed', key: 'Ann', beforeState: 'existence-uncertain' },
        ])
        await take(state, 3, repeated)
        expect(brief((await diff(state, modelOf('ann'), of)).changes)).toEqual([[again, 'ann', 2, doubt]])
      },
    )

    it.each([
      [['added', 'changed', 'removed'], 'content-uncertain', 'changed'],
      [['added', 'removed'], 'existence-uncertain', 'added'],
    ] as const)('are in doubt where a removal goes out late: with %s', async (ops, doubt, again) => {
      const opsWithTrigger = new Set(ops)
      await using state = await withKeys(1, 'Ann', 'bob')
      const first = await diff(state, modelOf('ann', 'bob'), { opsWithTrigger })
      await take(state, 2, { ...first, failed: ['Ann'] })
      const late = await diff(state, modelOf('ann', 'bob'), { opsWithTrigger })
      expect(late.changes).toMatchObject([
        {
          op: 'settled',
          key: 'ann',
          partition: 0,
          beforeState: 'present',
          settledState: doubt,
          after: { v: 10 },
        },
        { op: 'removed', key: 'Ann', partition: 1 },
      ])
      await take(state, 3, late)
      expect(brief((await diff(state, modelOf('ann', 'bob'), { opsWithTrigger })).changes)).toEqual([
        [again, 'ann', 0, doubt],
      ])
    })

    it('are in doubt where the model had both, or the other one came back, as long as nobody gave them up', async () => {
      await using state = await withKeys(1, 'Ann', 'ann', 'ANN')
      const removed = await diff(state, modelOf('Ann', 'ANN'))
      expect(removed.changes).toMatchObject([
        { op: 'settled', key: 'Ann', settledState: 'content-uncertain' },
        { op: 'settled', key: 'ANN', settledState: 'content-uncertain' },
        { op: 'removed', key: 'ann' },
      ])
      await take(state, 2, { ...removed, failed: ['ann'] })
      const back = await diff(state, modelOf('ann'))
      expect(back.changes).toMatchObject([
        { op: 'settled', key: 'ann', beforeState: 'present', settledState: 'content-uncertain' },
        { op: 'removed', key: 'Ann' },
        { op: 'removed', key: 'ANN' },
      ])
      expect(back.endsRetry).toEqual([{ partition: 1, key: 'ann' }])
    })

    it('are in doubt where a replay may remove the row of the other one', async () => {
      await using state = await withKeys(1, 'ann', 'bob')
      await state.takeReplayed([
        { key: 'Ann', op: 'removed', row: null },
        { key: 'Bob', op: 'changed', row: { id: 'Bob', v: 1 } },
      ])
      const { changes } = await diff(state, modelOf('ann', 'bob'), { purpose: { kind: 'replay' } })
      expect(changes.map(({ key, settledState }) => [key, settledState])).toEqual([
        ['ann', 'content-uncertain'],
        ['Bob', 'existence-uncertain'],
      ])
    })

    it('are not sent again where nothing may be sent twice, in a run and in a replay', async () => {
      await using state = await withKeys(1, 'ann', 'Ann')
      const once = { atMostOnce: true, leavesUndecided: 'none' } as const
      expect(brief((await diff(state, modelOf('ann'), once)).changes)).toEqual([
        ['removed', 'Ann', 1, PRESENT],
      ])
      await state.takeReplayed([{ key: 'ANN', op: 'removed', row: null }])
      const replay = { ...once, purpose: { kind: 'replay' } } as const
      expect((await diff(state, modelOf('ann'), replay)).changes).toEqual([])
    })

    it('are in doubt though they failed last, in a retry of the removal alone', async () => {
      await using state = await withKeys(1, 'Ann', 'ann')
      const changed = await diff(state, "SELECT 'ann' AS id, 11 AS v UNION ALL SELECT 'Ann', 12")
      await take(state, 2, { ...changed, failed: ['Ann', 'ann'] })
      const retry = { purpose: { kind: 'retry', key: 'Ann', status: null } } as const
      const late = await diff(state, "SELECT 'ann' AS id, 11 AS v", retry)
      expect(late.changes).toMatchObject([
        { op: 'settled', key: 'ann', settledState: 'content-uncertain' },
        { op: 'removed', key: 'Ann' },
      ])
      expect(late.endsRetry).toEqual([{ partition: 1, key: 'ann' }])
    })

    it('are in doubt where their op has lost its trigger', async () => {
      await using state = await withKeys(1, 'Ann', 'ann')
      await take(state, 2, { ...(await diff(state, modelOf('ann'))), failed: ['Ann'] })
      const opsWithTrigger = new Set(['added', 'removed'] as const)
      expect((await diff(state, modelOf('ann'), { opsWithTrigger })).changes).toMatchObject([
        { op: 'settled', key: 'ann', settledState: 'existence-uncertain' },
        { op: 'removed', key: 'Ann' },
      ])
    })

    it('are in doubt in a run that settles a new column, too', async () => {
      await using state = await withKeys(1, 'Ann')
      await take(state, 2, { ...(await diff(state, modelOf('ann'))), failed: ['Ann'] })
      const late = await diff(state, "SELECT 'ann' AS id, 10 AS v, 1 AS w")
      expect(late.changes).toMatchObject([
        { op: 'settled', key: 'ann', settledState: 'content-uncertain', after: { v: 10, w: 1 } },
        { op: 'removed', key: 'Ann' },
      ])
    })
  })
}
