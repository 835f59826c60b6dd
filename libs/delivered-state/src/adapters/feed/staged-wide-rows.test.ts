/** Rows of 1 MB on their way from the topics into the state: more of them than DuckDB may read together. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { extractHere } from '@sluice/sources/contract/extract-here'
import type { DeliveredStateHarness } from '../../contract/harness.ts'
import { Played } from '../../contract/played.ts'
import { openDeliveredState } from '../duckdb.ts'

const ROWS = 20
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-staged-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

let extracts = 0
const harness: DeliveredStateHarness = {
  open: ({ name }) =>
    openDeliveredState({
      file: join(folder, name),
      sync: 's',
      incarnation: 'i',
      partitions: 1,
      memoryLimit: '64MB',
    }),
  extract: sql => {
    const model = { kind: 'model', name: 'm', source: 's', sql, primaryKey: 'id' } as const
    return extractHere(model, { folder, file: join(folder, `extract-${extracts++}.duckdb`) })
  },
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
