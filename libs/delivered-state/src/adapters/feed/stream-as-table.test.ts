/** A sync that was a stream, and is read as a table from now on. A run over a stream changes a key often. */
import { expect, it } from 'vitest'
import { changesOf, requestFor, TIMEOUT } from '../../../test/harness.ts'
import { duckdbHarness } from '../../../test/duckdb-harness.ts'
import { changeOf, rowOf } from '../../../test/stream-played.ts'

const harness = duckdbHarness()

it(
  'removes a row that left the model, though it came back in another partition within the last run over a stream',
  TIMEOUT,
  async () => {
    await using state = await harness.open({ name: 'state', partitions: 2 })
    const added = changeOf({ key: 'a', seq: 0 })
    const removed = changeOf({
      ...{ key: 'a', seq: 1, slice: 2, op: 'removed', beforeState: 'present' },
      ...{ before: rowOf('a', 1), after: null },
    })
    const back = changeOf({ key: 'a', seq: 0, slice: 3 })
    const feed = async (partition: number, changes: readonly (typeof added)[]): Promise<void> => {
      const records = changes.map((change, offset) => ({ offset, timestamp: 1_000, change }))
      await state.feed({ partition, changes: { records, nextOffset: records.length } })
    }
    await feed(0, [back])
    await feed(1, [added, removed])
    await state.commit()
    const found = await state.diff(await requestFor(harness, "SELECT 'b' AS id, 3 AS v"))
    const { changes } = await changesOf(found)
    expect(changes.map(({ op, key }) => [op, key])).toEqual([
      ['removed', 'a'],
      ['added', 'b'],
    ])
  },
)
