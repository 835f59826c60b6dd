/** Rows of 1 MB on their way from the topics into the state: more of them than DuckDB may read together. */
import { expect, it } from 'vitest'
import { duckdbHarness } from '../../../test/duckdb-harness.ts'
import type { DeliveredStateHarness } from '../../../test/harness.ts'
import { Played } from '../../../test/played.ts'

const ROWS = 20
const duckdb = duckdbHarness()
const harness: DeliveredStateHarness = {
  ...duckdb,
  open: options => duckdb.open({ ...options, memoryLimit: '64MB' }),
}

const rowsAt = (version: number, step = 1): string =>
  `SELECT n::VARCHAR AS id, concat(if(n = 7, ${version}, 0), repeat(md5(n::VARCHAR), 31250)) AS t FROM range(0, ${ROWS}, ${step}) r(n)`

it('wide rows reach the state each once, with nothing between them, and a later process finds them', async () => {
  {
    const played = await Played.open(harness)
    await using state = played.state
    const { changes } = await played.run(rowsAt(1))
    expect(changes).toHaveLength(ROWS)
    const again = await played.diff(rowsAt(1))
    expect(again.changes).toEqual([])
    expect(again.diff.keysBefore).toBe(ROWS)
    await played.run(rowsAt(2))
    expect((await state.positions()).changes).toEqual([ROWS + 1])
  }
  const later = await Played.open(harness)
  await using state = later.state
  expect((await state.positions()).changes).toEqual([ROWS + 1])
  const { changes, diff } = await later.diff(rowsAt(2, 2))
  expect(diff.keysBefore).toBe(ROWS)
  expect(new Set(changes.map(({ op, key }) => `${op} ${key}`))).toEqual(
    new Set(Array.from({ length: ROWS / 2 }, (_, i) => `removed ${2 * i + 1}`)),
  )
})
