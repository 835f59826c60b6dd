/** Keys that an API may take for one: the removal of the one and the row of the other go in order. */
import { describe, expect, it } from 'vitest'
import type { DeliveredState, DetectedChange, DiffRequest } from '../port.ts'
import { changesOf, type DeliveredStateHarness, requestFor, TIMEOUT } from './harness.ts'
import { entryOf } from './played.ts'

const PARTITIONS = 3
const LONG = 'x'.repeat(70)

const modelOf = (...ids: readonly string[]): string =>
  ids.map(id => `SELECT '${id}' AS id, 10 AS v`).join(' UNION ALL ') || `${modelOf('a')} LIMIT 0`

/** What was, what is, and the form that both have. */
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
  const diff = async (state: DeliveredState, sql: string, options: Partial<DiffRequest> = {}) =>
    changesOf(await state.diff(await requestFor(harness(), sql, options)))
  /** Takes changes in as those of a run, each in its partition or in the one given. Those listed failed. */
  const take = async (
    state: DeliveredState,
    run: number,
    of: {
      readonly changes: readonly DetectedChange[]
      readonly to?: number
      readonly failed?: readonly string[]
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
        return { key, value: isFailed ? entryOf(op, 'rejected', { run, seq }) : null }
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
    changes.map(({ op, key, partition, twin }) => [op, key, partition, twin])

  describe(`${name}: keys that an API may take for one`, TIMEOUT, () => {
    it.each(TWINS)('are twins where they differ in %s', async (_, was, is, form) => {
      await using state = await withKeys(2, was, 'other')
      expect(brief((await diff(state, modelOf('new', is, 'other'))).changes)).toEqual([
        ['removed', was, 2, form],
        ['added', 'new', null, null],
        ['added', is, 2, form],
      ])
    })

    it('are twins though they have several columns, or are known by digests while they are compared', async () => {
      await using state = await open()
      const keyed = (a: string, b: string): string => `SELECT '${a}' AS id, '${b}' AS part, 10 AS v`
      const primaryKey = ['id', 'part']
      const first = `${keyed('eu', 'Ann ')} UNION ALL ${keyed('eu', `Á${LONG}`)}`
      await take(state, 1, { ...(await diff(state, first, { primaryKey })), to: 1 })
      const { changes } = await diff(state, `${keyed('EU', 'ann')} UNION ALL ${keyed('eu', `á${LONG}`)}`, {
        primaryKey,
      })
      const long = String(changes.find(({ key }) => key.includes(`á${LONG}`))?.twin)
      expect(long).toMatch(/^#[0-9a-f]{64}$/)
      expect(new Set(brief(changes).map(change => change.join()))).toEqual(
        new Set([
          ['removed', '["eu","Ann "]', 1, '["eu","ann"]'].join(),
          ['removed', `["eu","Á${LONG}"]`, 1, long].join(),
          ['added', '["EU","ann"]', 1, '["eu","ann"]'].join(),
          ['added', `["eu","á${LONG}"]`, 1, long].join(),
        ]),
      )
    })

    it('are twins of a removal that is tried again', async () => {
      await using state = await withKeys(2, 'Ann')
      const { changes } = await diff(state, modelOf())
      await take(state, 2, { changes, failed: ['Ann'] })
      expect(brief((await diff(state, modelOf('ann'))).changes)).toEqual([
        ['removed', 'Ann', 2, 'ann'],
        ['added', 'ann', 2, 'ann'],
      ])
    })

    it('come by no column, however many other rows are new', async () => {
      await using state = await withKeys(1, 'K7')
      const sql = "SELECT 'k' || i AS id, 10 AS v FROM range(20) r(i)"
      const found = await state.diff(await requestFor(harness(), sql))
      const twins: unknown[] = []
      for await (const batch of found.changesByColumn())
        if ('changes' in batch) twins.push(...brief(batch.changes).filter(([, , , twin]) => twin !== null))
      expect(twins).toEqual([
        ['removed', 'K7', 1, 'k7'],
        ['added', 'k7', 1, 'k7'],
      ])
    })

    it('are none if no removal is sent, or none is due', async () => {
      await using state = await withKeys(2, 'Ann')
      const opsWithTrigger = new Set(['added', 'changed'] as const)
      expect(brief((await diff(state, modelOf('ann'), { opsWithTrigger })).changes)).toEqual([
        ['settled', 'Ann', 2, null],
        ['added', 'ann', null, null],
      ])
      expect(brief((await diff(state, modelOf('Ann', 'ann'))).changes)).toEqual([
        ['added', 'ann', null, null],
      ])
    })

    it('are none where keys are nothing but blanks', async () => {
      await using state = await withKeys(2, ' ', '\u0007', 'k')
      expect(brief((await diff(state, modelOf('\t', '\u0007', 'k'))).changes)).toEqual([
        ['removed', ' ', 2, null],
        ['added', '\t', null, null],
      ])
    })

    it('share the partition of a removal that was given up, which a later run may send', async () => {
      await using state = await withKeys(2, 'Ann')
      const removed = await diff(state, modelOf())
      await take(state, 2, { ...removed, failed: ['Ann'] })
      const discard = { purpose: { kind: 'discard', key: null, status: null } } as const
      await take(state, 3, await diff(state, modelOf(), discard))
      expect(brief((await diff(state, modelOf('ann'))).changes)).toEqual([['added', 'ann', 2, null]])
    })

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
          partition: 1,
          beforeState: 'present',
          settledState: doubt,
          after: { v: 10 },
        },
        { op: 'removed', key: 'Ann', partition: 1 },
      ])
      await take(state, 3, late)
      expect(brief((await diff(state, modelOf('ann', 'bob'), { opsWithTrigger })).changes)).toEqual([
        [again, 'ann', 1, null],
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
      expect(brief((await diff(state, modelOf('ann'), once)).changes)).toEqual([['removed', 'Ann', 1, null]])
      await state.takeReplayed([{ key: 'ANN', op: 'removed', row: null }])
      const replay = { ...once, purpose: { kind: 'replay' } } as const
      expect((await diff(state, modelOf('ann'), replay)).changes).toEqual([])
    })

    it('are in doubt though they failed last, in a retry of the removal alone', async () => {
      await using state = await withKeys(1, 'Ann', 'ann')
      const changed = await diff(state, "SELECT 'ann' AS id, 11 AS v")
      expect(brief(changed.changes)).toEqual([
        ['removed', 'Ann', 1, 'ann'],
        ['changed', 'ann', 1, 'ann'],
      ])
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
