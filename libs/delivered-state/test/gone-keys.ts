/** The keys that may get a tombstone in `changes`, because the state forgot them long ago. */
import { describe, expect, it } from 'vitest'
import type { DeliveredState, StateFeed } from '../src/port.ts'
import { changesOf, type DeliveredStateHarness, requestFor, TIMEOUT } from './harness.ts'
import { entryOf, ONE, Played } from './played.ts'

const NONE = `${ONE} LIMIT 0`
type Records = NonNullable<StateFeed['changes']>['records']
const { signal } = new AbortController()

/** The keys that are gone since before a run. A run's number is the time of its changes. */
async function goneBefore(state: DeliveredState, run: number): Promise<readonly string[]> {
  const told: string[] = []
  const end = (keys: readonly { readonly key: string }[]): Promise<void> => {
    told.push(...keys.map(({ key }) => key))
    return Promise.resolve()
  }
  await state.endGone(run, end, { signal })
  return told.toSorted()
}

export function goneKeysSuite(name: string, harness: () => DeliveredStateHarness): void {
  describe(`${name}: keys that are gone`, TIMEOUT, () => {
    it('are told once they are old enough, and once', async () => {
      const played = await Played.open(harness())
      await using state = played.state
      await played.run(`${ONE} UNION ALL SELECT '2', 10`)
      await played.run(ONE)
      await played.run(NONE)
      expect(await goneBefore(state, 2)).toEqual([])
      expect(await goneBefore(state, 3)).toEqual(['2'])
      expect(await goneBefore(state, 4)).toEqual(['1'])
      expect(await goneBefore(state, 9)).toEqual([])
    })

    it('are those whose removal was delivered or settled, and no other', async () => {
      const played = await Played.open(harness())
      await using state = played.state
      await played.run(ONE)
      await played.run(NONE, 'rejected')
      expect(await goneBefore(state, 9)).toEqual([])
      await played.run(NONE, 'delivered', { opsWithTrigger: new Set(['added']) })
      expect(await goneBefore(state, 9)).toEqual(['1'])
    })

    it('are those that nobody knows any more: not while a retry entry is open', async () => {
      const played = await Played.open(harness())
      await using state = played.state
      await played.run(ONE, 'rejected')
      const { changes } = await played.diff(NONE)
      expect(changes).toMatchObject([{ op: 'settled', settledState: 'absent' }])
      await played.deliver(changes, 'delivered')
      await state.commit()
      expect(await goneBefore(state, 9)).toEqual([])
      const again = await played.run(NONE)
      expect(again.endsRetry).toMatchObject([{ key: '1' }])
      expect(await goneBefore(state, 9)).toEqual(['1'])
    })

    it('are not those that came back', async () => {
      const played = await Played.open(harness())
      await using state = played.state
      await played.run(ONE)
      await played.run(NONE)
      await played.run(ONE)
      expect(await goneBefore(state, 9)).toEqual([])
      await played.run(NONE)
      expect(await goneBefore(state, 4)).toEqual([])
      expect(await goneBefore(state, 5)).toEqual(['1'])
    })

    it('have a tombstone that ends what compaction left before it, and nothing after', async () => {
      const played = await Played.open(harness())
      await using state = played.state
      const [change] = (await played.diff(ONE)).changes
      if (change === undefined) throw new Error('nothing found')
      const added = (offset: number, run: number) => ({
        offset,
        timestamp: run,
        change: { ...change, run, seq: 0, replayed: null },
      })
      const end = (offset: number) => ({ offset, key: '1', change: null })
      const take = async (...records: Records): Promise<void> => {
        const nextOffset = (records.at(-1)?.offset ?? 0) + 1
        await state.feed({ partition: 0, changes: { records, nextOffset } })
        await state.commit()
      }
      await take(added(0, 1), end(4))
      expect((await state.positions()).lastChange).toEqual([{ offset: 0, run: 1, seq: 0 }])
      expect((await played.diff(ONE)).changes).toMatchObject([{ op: 'added', partition: null }])
      await state.reset()
      await take(added(0, 1), end(4), added(5, 3))
      expect((await played.diff(ONE)).changes).toEqual([])
    })

    it('have a tombstone that ends what a state has kept since before, in that partition', async () => {
      await using state = await harness().open({ name: 'state', partitions: 2 })
      const [change] = (await changesOf(await state.diff(await requestFor(harness(), ONE)))).changes
      if (change === undefined) throw new Error('nothing found')
      const take = async (partition: number, ...records: Records): Promise<void> => {
        const nextOffset = (records.at(-1)?.offset ?? 0) + 1
        await state.feed({ partition, changes: { records, nextOffset } })
      }
      const placed = { offset: 0, timestamp: 1, change: { ...change, run: 1, seq: 0, replayed: null } }
      await take(0, placed)
      const entry = entryOf('added', 'rejected', { run: 1, seq: 0 })
      await state.feed({ partition: 0, retry: { records: [{ key: '1', value: entry }], nextOffset: 1 } })
      const value = { incarnation: 'i', owner: 0, run: 1, seq: 0, values: '{"a":1}' }
      await state.feed({ partition: 0, captured: { records: [{ key: '1', value }], nextOffset: 1 } })
      await state.commit()
      await take(1, { offset: 3, key: '1', change: null })
      await state.commit()
      const found = async (sql: string) =>
        (await changesOf(await state.diff(await requestFor(harness(), sql)))).changes
      expect(await found(ONE)).toMatchObject([{ op: 'added', partition: 0, captured: '{"a":1}' }])
      // Neither the removal, nor the tombstones of entry and values are left in their topics.
      await take(0, { offset: 9, key: '1', change: null })
      await state.commit()
      expect(await found(NONE)).toEqual([])
      expect(await found(ONE)).toMatchObject([
        { op: 'added', partition: null, captured: null, retried: null },
      ])
    })

    it('are not told again by a state that is made of the topics, where they have a tombstone', async () => {
      const played = await Played.open(harness())
      await using state = played.state
      await played.run(ONE)
      const [removed] = (await played.diff(NONE)).changes
      if (removed === undefined) throw new Error('nothing found')
      await state.reset()
      const change = { ...removed, run: 2, seq: 0, replayed: null }
      const ended = { offset: 6, key: '1', change: null }
      const records = [{ offset: 5, timestamp: 2, change }, ended]
      await state.feed({ partition: 0, changes: { records: records.slice(0, 1), nextOffset: 6 } })
      await state.feed({ partition: 0, changes: { records: records.slice(1), nextOffset: 7 } })
      await state.commit()
      expect(await goneBefore(state, 9)).toEqual([])
      await state.reset()
      await state.feed({ partition: 0, changes: { records: records.slice(0, 1), nextOffset: 6 } })
      await state.commit()
      await state.feed({ partition: 0, changes: { records: records.slice(1), nextOffset: 7 } })
      await state.commit()
      expect(await goneBefore(state, 9)).toEqual([])
    })

    it('are told in pieces, and again where a piece was not ended', async () => {
      const played = await Played.open(harness())
      await using state = played.state
      await played.run(ONE)
      const [removed] = (await played.diff(NONE)).changes
      if (removed === undefined) throw new Error('nothing found')
      const records = Array.from({ length: 10_000 }, (_, seq) => {
        return {
          offset: 1 + seq,
          timestamp: 2,
          change: { ...removed, key: `${seq}`, run: 2, seq, replayed: null },
        }
      })
      await state.feed({ partition: 0, changes: { records, nextOffset: 1 + records.length } })
      await state.commit()
      const pieces: number[] = []
      const failing = (keys: readonly unknown[]): Promise<void> => {
        pieces.push(keys.length)
        return pieces.length === 2 ? Promise.reject(new Error('no log')) : Promise.resolve()
      }
      await expect(state.endGone(9, failing, { signal })).rejects.toThrow('no log')
      expect(pieces).toHaveLength(2)
      expect(await goneBefore(state, 9)).toHaveLength(10_000 - (pieces[0] ?? 0))
    })

    it('are told no more once the signal has aborted', async () => {
      const played = await Played.open(harness())
      await using state = played.state
      await played.run(ONE)
      await played.run(NONE)
      const stop = new AbortController()
      stop.abort(new Error('enough'))
      const ending = state.endGone(9, () => Promise.reject(new Error('told')), { signal: stop.signal })
      await expect(ending).rejects.toThrow('enough')
      expect(await goneBefore(state, 9)).toEqual(['1'])
    })
  })
}
