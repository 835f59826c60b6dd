/** The promises of the state by key (stream-port.ts). Each implementation keeps all of them. */
import { describe, expect, it } from 'vitest'
import { OPS, type KeyStateKind, type Outcome } from '@sluice/contracts/state'
import { reasonHash } from '@sluice/domain/answers/failed-group'
import { transition } from '@sluice/domain/key-state'
import type { EndedKey } from '../src/port.ts'
import type { StreamCommand, StreamedKey, StreamState } from '../src/stream-port.ts'
import { TIMEOUT } from './harness.ts'
import { entryOf, SINCE } from './played.ts'
import { changeOf, COLUMNS, rowOf, StreamTopics, type Told } from './stream-played.ts'

/** Opens an empty state of the incarnation `i`. */
export type OpenStreamState = (options: { readonly partitions: number }) => StreamState

const KINDS: readonly KeyStateKind[] = ['absent', 'present', 'content-uncertain', 'existence-uncertain']
const OUTCOMES: readonly Outcome[] = ['delivered', 'rejected', 'unknown', 'unsent', 'exists', 'missing']

const ALL: StreamCommand = { kind: 'resync', upTo: 1_000, upToSlices: null, key: null, status: null }
const keysOf = (known: readonly StreamedKey[]): readonly string[] => known.map(({ key }) => key)

export function streamContract(name: string, openEmpty: OpenStreamState): void {
  const open = (): { readonly state: StreamState; readonly topics: StreamTopics } => {
    const state = openEmpty({ partitions: 2 })
    state.setColumns(COLUMNS)
    return { state, topics: new StreamTopics(state) }
  }
  const only = (state: StreamState, key: string): StreamedKey | undefined => state.of([key]).get(key)

  describe(`${name}: a key`, TIMEOUT, () => {
    it('has the state that each op and outcome leaves', async () => {
      const { state, topics } = open()
      await using _ = state
      const cases = KINDS.flatMap(beforeState =>
        OPS.flatMap(op =>
          OUTCOMES.map(outcome => ({ beforeState, op, outcome, key: `${beforeState}/${op}/${outcome}` })),
        ),
      )
      const outcomes = Object.fromEntries(cases.map(({ key, outcome }) => [key, outcome]))
      const changes = cases.map(({ key, beforeState, op }): Told => {
        const before = beforeState === 'absent' ? null : rowOf(key, 1)
        return { key, op, beforeState, before, after: op === 'removed' ? null : rowOf(key, 2) }
      })
      topics.take(changes, {
        outcomes: Object.fromEntries(Object.entries(outcomes).filter(([, is]) => is !== 'delivered')),
      })
      const found = state.of(cases.map(({ key }) => key))
      for (const { key, beforeState, op, outcome } of cases) {
        const next = transition(beforeState, op, outcome)
        const row = next.row === null ? null : rowOf(key, next.row === 'before' ? 1 : 2)
        const wanted = op === 'removed' ? null : rowOf(key, 2)
        expect(found.get(key), key).toMatchObject({ state: next.state, row, wanted })
        expect(found.get(key)?.failed?.outcome ?? 'delivered', key).toBe(outcome)
      }
    })

    it('that is settled has the state and the rows that the change carries, whatever `retry` says', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.retry('a', entryOf('added', 'rejected', { run: 1, seq: 0 }))
      topics.take([
        {
          key: 'a',
          op: 'settled',
          settledState: 'content-uncertain',
          after: rowOf('a', 1),
          wanted: rowOf('a', 2),
        },
        { key: 'b', op: 'settled', settledState: 'absent', after: null, wanted: rowOf('b', 3), muted: 'no' },
        { key: 'c', op: 'settled', settledState: 'present', after: rowOf('c', 1), wanted: null },
      ])
      expect(only(state, 'a')).toMatchObject({ state: 'content-uncertain', row: { v: 1 }, wanted: { v: 2 } })
      expect(only(state, 'a')?.failed).toMatchObject({ run: 1, seq: 0, outcome: 'rejected' })
      expect(only(state, 'b')).toMatchObject({ state: 'absent', row: null, wanted: { v: 3 }, muted: 'no' })
      expect(only(state, 'c')).toMatchObject({ state: 'present', row: { v: 1 }, wanted: null, failed: null })
    })

    it('has the order and the place of its last change', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([{ key: 'a', run: 3, seq: 7, slice: 2, epoch: 4, order: '0A' }], { partition: 1 })
      expect(only(state, 'a')).toEqual({
        key: 'a',
        state: 'present',
        row: rowOf('a', 1),
        wanted: rowOf('a', 1),
        epoch: 4,
        order: '0A',
        partition: 1,
        run: 3,
        slice: 2,
        seq: 7,
        muted: null,
        failed: null,
        captured: null,
      })
      expect(state.newestEpoch()).toBe(4)
      expect(only(state, 'b')).toBeUndefined()
    })

    it('has no order, and wants its row, where the change is of a run that compared tables', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([
        { key: 'a', slice: null },
        { key: 'b', slice: null, op: 'settled', settledState: 'present', after: rowOf('b', 5) },
      ])
      expect(only(state, 'a')).toMatchObject({ epoch: 0, order: '', slice: 0, wanted: { v: 1 } })
      expect(only(state, 'b')).toMatchObject({ epoch: 0, order: '', slice: 0, wanted: { v: 5 } })
      expect(state.newestEpoch()).toBe(0)
    })

    it('has the change of the highest run, and in it of the highest slice, in any order of partitions', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([{ key: 'a', run: 2, slice: 5, after: rowOf('a', 5) }], { partition: 1 })
      topics.take([{ key: 'a', run: 2, slice: 4, after: rowOf('a', 4) }])
      expect(only(state, 'a')).toMatchObject({ partition: 1, slice: 5, row: { v: 5 } })
      topics.take([{ key: 'a', run: 1, slice: 9, after: rowOf('a', 9) }])
      expect(only(state, 'a')).toMatchObject({ partition: 1, slice: 5, row: { v: 5 } })
      topics.take([{ key: 'a', run: 3, slice: 1, after: rowOf('a', 1) }])
      expect(only(state, 'a')).toMatchObject({ partition: 0, run: 3, slice: 1, row: { v: 1 } })
      topics.take([
        { key: 'a', run: 4, slice: 1, after: rowOf('a', 2) },
        { key: 'a', run: 4, slice: 2, after: rowOf('a', 3) },
      ])
      expect(only(state, 'a')).toMatchObject({ slice: 2, row: { v: 3 } })
    })

    it('has the retry entry and the captured values of the partition of its last change alone', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.captured('a', '{"id":0}')
      topics.captured('a', '{"id":1}', { partition: 1 })
      topics.take([{ key: 'a', run: 1 }], { outcomes: { a: 'unsent' } })
      expect(only(state, 'a')).toMatchObject({ captured: '{"id":0}', failed: { outcome: 'unsent' } })
      topics.take([{ key: 'a', run: 2 }], { partition: 1 })
      expect(only(state, 'a')).toMatchObject({ captured: '{"id":1}', failed: null, state: 'present' })
      topics.captured('a', null, { partition: 1 })
      expect(only(state, 'a')).toMatchObject({ captured: null })
    })

    it('keeps its state when its entry is ended', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([{ key: 'a' }], { outcomes: { a: 'rejected' } })
      topics.retry('a', null)
      expect(only(state, 'a')).toMatchObject({ state: 'absent', wanted: { v: 1 }, failed: null })
    })

    it('is known by an entry or values alone', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.captured('a', '{}', { partition: 1 })
      topics.retry('b', entryOf('added', 'rejected', { run: 1, seq: 0 }), { partition: 1, timestamp: 4 })
      expect(only(state, 'a')).toMatchObject({
        state: 'absent',
        row: null,
        wanted: null,
        partition: 1,
        captured: '{}',
      })
      expect(only(state, 'b')).toMatchObject({
        state: 'absent',
        partition: 1,
        failed: { outcome: 'rejected' },
      })
      topics.captured('a', null, { partition: 1 })
      topics.retry('b', null, { partition: 1 })
      expect(state.inOrder(null, 10)).toEqual([])
    })

    it('is uncertain after a change that a run lost track of, until its next record in the partition', async () => {
      const { state, topics } = open()
      await using _ = state
      const lost = [{ key: 'a', value: entryOf('added', 'unknown', { run: 1, seq: 0 }) }]
      state.take({ partition: 0, changes: topics.changes(0, [changeOf({ key: 'a' })]), lost })
      topics.retry('a', null)
      expect(only(state, 'a')).toMatchObject({ state: 'existence-uncertain', failed: { outcome: 'unknown' } })
      topics.take([{ key: 'a', run: 2, beforeState: 'existence-uncertain' }])
      expect(only(state, 'a')).toMatchObject({ state: 'present', failed: null })
    })

    it('may have any text', async () => {
      const { state, topics } = open()
      await using _ = state
      const keys = ['', ' ', '\0', 'a\0b', '😀', 'ﬀ', "'", '["a","b"]', 'x'.repeat(3_000)]
      topics.take(keys.map(key => ({ key })))
      expect([...state.of(keys).keys()].toSorted()).toEqual(keys.toSorted())
      expect(new Set(keysOf(state.inOrder(null, 100)))).toEqual(new Set(keys))
    })

    it('whose entry comes after it was taken in as delivered shows that the state cannot be trusted', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([{ key: 'a', seq: 4 }])
      expect(() => topics.retry('a', entryOf('added', 'rejected', { run: 1, seq: 4 }))).toThrow(
        expect.objectContaining({ code: 'corrupt' }),
      )
      expect(only(state, 'a')).toMatchObject({ failed: null, state: 'present' })
    })
  })

  describe(`${name}: keys`, TIMEOUT, () => {
    it('come in the order of their bytes, some at a time', async () => {
      const { state, topics } = open()
      await using _ = state
      const inOrder = ['', '\0', '10', '9', 'A', 'a', 'a\0', 'ab', 'é', 'ﬀ', '😀']
      topics.take(inOrder.toReversed().map(key => ({ key })))
      expect(keysOf(state.inOrder(null, 100))).toEqual(inOrder)
      expect(keysOf(state.inOrder('9', 3))).toEqual(['A', 'a', 'a\0'])
      expect(keysOf(state.inOrder('9a', 1))).toEqual(['A'])
      expect(state.inOrder('😀', 3)).toEqual([])
    })

    it('are counted: those that may be at the destination, and those that failed', async () => {
      const { state, topics } = open()
      await using _ = state
      expect(state.count()).toEqual({ believed: 0, failed: 0 })
      topics.take([{ key: 'a' }, { key: 'b' }, { key: 'c' }], { outcomes: { b: 'rejected', c: 'unknown' } })
      expect(state.count()).toEqual({ believed: 2, failed: 2 })
      topics.take([
        { key: 'a', run: 2, op: 'removed', beforeState: 'present', before: rowOf('a', 1), after: null },
      ])
      topics.retry('b', null)
      expect(state.count()).toEqual({ believed: 1, failed: 1 })
    })

    it('are counted if their last change is a removal, by its time', async () => {
      const { state, topics } = open()
      await using _ = state
      const removed = (key: string, run: number): Told => {
        return { key, run, op: 'removed', beforeState: 'present', before: rowOf(key, 1), after: null }
      }
      topics.take([removed('old', 1), { key: 'there', run: 12 }], { partition: 1 })
      topics.take([removed('a', 12), removed('b', 13), removed('again', 13), removed('c', 25)], {
        outcomes: { b: 'rejected' },
      })
      topics.take([
        { key: 'again', run: 14 },
        { key: 'settled', run: 14, op: 'settled', settledState: 'absent', after: null },
      ])
      expect(state.removedSince(12_000)).toEqual([
        { at: 13_000, removed: 2, absent: 1 },
        { at: 25_000, removed: 1, absent: 1 },
      ])
      expect(state.removedSince(26_000)).toEqual([])
    })

    it('have twins: those that differ in letter case, accents and blanks alone', async () => {
      const { state, topics } = open()
      await using _ = state
      const long = 'ä'.repeat(300)
      const tooLong = 'X'.repeat(1_001)
      topics.take(
        [
          'ann',
          'Ann',
          'ANN ',
          'Änn',
          'bob',
          ' ',
          '  ',
          long,
          long.toUpperCase(),
          tooLong,
          tooLong.toLowerCase(),
        ].map(key => ({ key })),
      )
      const twins = state.twinsOf(['ann', 'Ann', 'aNN', 'bob', 'Bob', ' ', 'x', long, tooLong])
      const found = Object.fromEntries([...twins].map(([key, all]) => [key, keysOf(all).toSorted()]))
      expect(found).toEqual({
        ann: ['ANN ', 'Ann', 'Änn'],
        Ann: ['ANN ', 'ann', 'Änn'],
        aNN: ['ANN ', 'Ann', 'ann', 'Änn'],
        Bob: ['bob'],
        [long]: [long.toUpperCase()],
      })
      topics.end('Ann')
      expect(keysOf(state.twinsOf(['ann']).get('ann') ?? []).toSorted()).toEqual(['ANN ', 'Änn'])
    })
  })

  describe(`${name}: failed rows`, TIMEOUT, () => {
    it('are told by the time at which they failed, the oldest first', async () => {
      const { state, topics } = open()
      await using _ = state
      expect(state.oldestFailure()).toBeNull()
      topics.take(
        [
          { key: 'c', run: 5 },
          { key: 'd', run: 5 },
        ],
        { outcomes: { c: 'rejected' } },
      )
      topics.take([{ key: 'a', run: 7 }], { outcomes: { a: 'unknown' }, partition: 1 })
      topics.take([{ key: 'b', run: 4 }], { outcomes: { b: 'unsent' } })
      expect(keysOf(state.failedBefore(7_001, 10))).toEqual(['b', 'c', 'a'])
      expect(keysOf(state.failedBefore(7_000, 10))).toEqual(['b', 'c'])
      expect(keysOf(state.failedBefore(9_000, 1))).toEqual(['b'])
      expect(state.oldestFailure()).toBe(4_000)
      topics.take([{ key: 'b', run: 8 }])
      topics.retry('b', null)
      expect(state.oldestFailure()).toBe(5_000)
      expect(state.failedBefore(9_000, 1)[0]).toMatchObject({ key: 'c', failed: { outcome: 'rejected' } })
    })

    it('are those that a settled change left uncertain, too', async () => {
      const { state, topics } = open()
      await using _ = state
      const uncertain = { op: 'settled', settledState: 'content-uncertain', beforeState: 'present' } as const
      topics.take([{ key: 'a', run: 2, ...uncertain, after: rowOf('a', 1), wanted: rowOf('a', 1) }])
      expect(keysOf(state.failedBefore(2_001, 10))).toEqual(['a'])
      expect(state.oldestFailure()).toBe(2_000)
      expect(state.count()).toEqual({ believed: 1, failed: 0 })
    })

    it('leave out uncertain rows that are muted for the op that they need', async () => {
      const { state, topics } = open()
      await using _ = state
      const settled = (key: string, beforeState: KeyStateKind, settledState: KeyStateKind): Told => {
        const rows = { after: rowOf(key, 1), wanted: rowOf(key, 2) }
        return { key, run: 2, op: 'settled', beforeState, settledState, muted: 'mute', ...rows }
      }
      topics.take([
        settled('given up', 'content-uncertain', 'content-uncertain'),
        settled('given up at first', 'present', 'content-uncertain'),
        settled('would be added now', 'content-uncertain', 'existence-uncertain'),
        settled('is there', 'present', 'present'),
      ])
      expect(keysOf(state.failedBefore(9_000, 10))).toEqual(['would be added now'])
    })
  })

  describe(`${name}: a command`, TIMEOUT, () => {
    it('is about keys up to its run, and in it up to the slice of each partition', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([
        { key: 'a', run: 1, slice: 9 },
        { key: 'b', run: 2, slice: 3 },
        { key: 'c', run: 2, slice: 4 },
      ])
      topics.take(
        [
          { key: 'd', run: 2, slice: 4 },
          { key: 'e', run: 3, slice: 1 },
        ],
        { partition: 1 },
      )
      const meant = (command: Partial<StreamCommand>) => keysOf(state.meant({ ...ALL, ...command }, null, 10))
      expect(meant({})).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(meant({ upTo: 2 })).toEqual(['a', 'b', 'c', 'd'])
      expect(meant({ upTo: 2, upToSlices: [3, 4] })).toEqual(['a', 'b', 'd'])
      expect(meant({ upTo: 2, upToSlices: [0, 0] })).toEqual(['a'])
      expect(keysOf(state.meant(ALL, 'b', 2))).toEqual(['c', 'd'])
      expect(state.meant(ALL, 'e', 2)).toEqual([])
    })

    it('that is no resync is about failed and uncertain rows, as it chooses them', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([{ key: 'a' }, { key: 'b' }, { key: 'c' }, { key: 'd' }], {
        outcomes: { a: 'rejected', b: 'unknown', c: 'unsent' },
      })
      const other = { ...entryOf('added', 'rejected', { run: 2, seq: 9 }), status: 404 }
      topics.retry('e', other)
      topics.take([{ key: 'f', op: 'settled', settledState: 'existence-uncertain', beforeState: 'present' }])
      const meant = (command: Partial<StreamCommand>) =>
        keysOf(state.meant({ ...ALL, kind: 'retry', ...command }, null, 10))
      expect(meant({})).toEqual(['a', 'b', 'c', 'e', 'f'])
      expect(meant({ kind: 'discard' })).toEqual(['a', 'b', 'c', 'e', 'f'])
      expect(meant({ key: 'b' })).toEqual(['b'])
      expect(meant({ key: 'd' })).toEqual([])
      expect(meant({ status: 404 })).toEqual(['e'])
      expect(meant({ status: 5 })).toEqual(['a', 'b', 'c'])
      const group = { reason: reasonHash(other, 'i'), lastSince: SINCE, toRun: 9 }
      expect(meant({ group })).toEqual(['e'])
      expect(meant({ group: { ...group, lastSince: SINCE - 1 } })).toEqual([])
      // A list of rows that fail for any reason.
      expect(meant({ group: { ...group, reason: null } })).toEqual(['a', 'b', 'c', 'e'])
      expect(meant({ group: { ...group, reason: null }, status: 404 })).toEqual(['e'])
      expect(meant({ group: { ...group, reason: null, lastSince: SINCE - 1 } })).toEqual([])
    })
  })

  describe(`${name}: a key that is gone`, TIMEOUT, () => {
    const removed = (key: string, run: number): Told => {
      return { key, run, op: 'removed', beforeState: 'present', before: rowOf(key, 1), after: null }
    }
    const goneBefore = async (state: StreamState, before: number): Promise<readonly EndedKey[]> => {
      const told: EndedKey[] = []
      const end = (keys: readonly EndedKey[]): Promise<void> => Promise.resolve(void told.push(...keys))
      await state.endGone(before, end, { signal: new AbortController().signal })
      return told
    }

    it('stays, with its order, until its tombstone', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([{ ...removed('a', 1), epoch: 2, order: '07' }, { key: 'b' }])
      expect(only(state, 'a')).toMatchObject({ state: 'absent', epoch: 2, order: '07', wanted: null })
      topics.end('a')
      expect(only(state, 'a')).toBeUndefined()
      expect(state.newestEpoch()).toBe(2)
      topics.take([{ key: 'a', run: 2 }], { partition: 1 })
      topics.end('a')
      expect(only(state, 'a')).toMatchObject({ state: 'present', partition: 1 })
    })

    it('is told as soon as it is old enough, and not again', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take(
        [removed('a', 2), removed('b', 3), { key: 'c', run: 1 }, { ...removed('d', 2), key: 'd' }],
        {
          outcomes: { d: 'rejected' },
          partition: 1,
        },
      )
      expect(await goneBefore(state, 2_000)).toEqual([])
      expect(await goneBefore(state, 3_000)).toEqual([{ partition: 1, key: 'a' }])
      expect(await goneBefore(state, 9_000)).toEqual([{ partition: 1, key: 'b' }])
      expect(await goneBefore(state, 9_000)).toEqual([])
      expect(only(state, 'a')).toBeUndefined()
      expect(only(state, 'd')).toMatchObject({ state: 'present' })
    })

    it('is not told while it is muted, or something is captured or failed, and not once it came back', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.captured('values', '{}')
      const settled = { run: 1, op: 'settled', settledState: 'absent', after: null } as const
      topics.take([
        removed('values', 1),
        { ...settled, key: 'muted', muted: 'mute' },
        { ...settled, key: 'failed' },
        removed('back', 1),
        { key: 'back', run: 2 },
        { ...settled, key: 'gone' },
      ])
      topics.retry('failed', entryOf('removed', 'rejected', { run: 0, seq: 0 }))
      expect(await goneBefore(state, 9_000)).toEqual([{ partition: 0, key: 'gone' }])
      topics.captured('values', null)
      expect(await goneBefore(state, 9_000)).toEqual([{ partition: 0, key: 'values' }])
    })

    it('is told for the partition that it left, too', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([removed('a', 1)])
      topics.take([{ key: 'a', run: 2 }], { partition: 1 })
      expect(await goneBefore(state, 9_000)).toEqual([{ partition: 0, key: 'a' }])
      expect(only(state, 'a')).toMatchObject({ partition: 1, state: 'present' })
    })

    it('stays if its tombstone cannot be written', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([removed('a', 1)])
      const { signal } = new AbortController()
      await expect(state.endGone(9_000, () => Promise.reject(new Error('full')), { signal })).rejects.toThrow(
        'full',
      )
      await expect(
        state.endGone(9_000, () => Promise.resolve(), { signal: AbortSignal.abort() }),
      ).rejects.toThrow()
      expect(await goneBefore(state, 9_000)).toEqual([{ partition: 0, key: 'a' }])
    })
  })

  describe(`${name}: positions`, TIMEOUT, () => {
    it('say what has been taken in, and nothing counts twice', async () => {
      const { state, topics } = open()
      await using _ = state
      const zeros = { changes: [0, 0], retry: [0, 0], captured: [0, 0] }
      expect(state.positions()).toEqual({ ...zeros, lastChange: [null, null], fedFor: null, kept: null })
      const changes = topics.changes(1, [
        changeOf({ key: 'a', seq: 3 }),
        'b',
        changeOf({ key: 'a', run: 2, seq: 0 }),
      ])
      state.take({
        partition: 1,
        changes: { ...changes, nextOffset: 5 },
        retry: { records: [], nextOffset: 7 },
        captured: { records: [], nextOffset: 8 },
        fedFor: { run: 2, at: 99 },
      })
      const positions = {
        changes: [0, 5],
        retry: [0, 7],
        captured: [0, 8],
        lastChange: [null, { offset: 2, run: 2, seq: 0 }],
        fedFor: { run: 2, at: 99 },
        kept: null,
      }
      expect(state.positions()).toEqual(positions)
      state.take({ partition: 1, changes: topics.changes(1, []) })
      state.take({
        partition: 1,
        changes: { records: [{ offset: 4, key: 'a', change: null }], nextOffset: 5 },
      })
      expect(only(state, 'a')).toMatchObject({ run: 2 })
      expect(state.positions()).toEqual(positions)
      expect(() => state.take({ partition: 2 })).toThrow(expect.objectContaining({ code: 'internal' }))
    })

    it('are forgotten by a reset, with all else', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([{ key: 'a', epoch: 3 }], { outcomes: { a: 'unknown' } })
      topics.captured('a', '{}')
      state.reset()
      expect(state.positions()).toMatchObject({
        changes: [0, 0],
        retry: [0, 0],
        captured: [0, 0],
        lastChange: [null, null],
      })
      expect(state.inOrder(null, 10)).toEqual([])
      expect(state.count()).toEqual({ believed: 0, failed: 0 })
      expect([state.newestEpoch(), state.oldestFailure()]).toEqual([0, null])
      new StreamTopics(state).take([{ key: 'a' }])
      expect(only(state, 'a')).toMatchObject({ state: 'present', row: rowOf('a', 1), captured: null })
    })
  })

  describe(`${name}: rows`, TIMEOUT, () => {
    it('of earlier columns have those of now, as far as they had them', async () => {
      const { state, topics } = open()
      await using _ = state
      topics.take([{ key: 'a', after: { id: 'a', v: 1 } }])
      state.setColumns([
        { name: 'w', type: { kind: 'text' } },
        { name: 'id', type: { kind: 'text' } },
      ])
      topics.take([{ key: 'b', after: { w: 'x', id: 'b' } }])
      expect(Object.entries(only(state, 'a')?.row ?? {})).toEqual([['id', 'a']])
      expect(Object.entries(only(state, 'b')?.wanted ?? {})).toEqual([
        ['w', 'x'],
        ['id', 'b'],
      ])
    })
  })
}
