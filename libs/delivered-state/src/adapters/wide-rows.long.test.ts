/** Rows of many bytes, with less memory than DuckDB would need to work on 2,048 of them at once. */
import { DuckDBConnection } from '@duckdb/node-api'
import { describe, expect, it, vi } from 'vitest'
import { duckdbHarness } from '../../test/duckdb-harness.ts'
import type { DeliveredStateHarness } from '../../test/harness.ts'
import { Played } from '../../test/played.ts'

const duckdb = duckdbHarness()
const harnessOf = (memoryLimit: string): DeliveredStateHarness => ({
  ...duckdb,
  open: options => duckdb.open({ ...options, memoryLimit }),
})

const columns = (version: number): string =>
  Array.from(
    { length: 250 },
    (_, i) => `concat('c${i}-', n, if(n = 7 AND ${i} = 230, '-${version}', '')) AS c${i}`,
  ).join(', ')

describe('wide rows', { timeout: 120_000 }, () => {
  it.each([
    [
      'rows of 1 MB',
      50,
      (version: number) =>
        `SELECT n::VARCHAR AS id, concat(if(n = 7, ${version}, 0), repeat(md5(n::VARCHAR), 31250)) AS t FROM range(50) r(n)`,
    ],
    [
      'rows of 250 columns',
      100,
      (version: number) => `SELECT n::VARCHAR AS id, ${columns(version)} FROM range(100) r(n)`,
    ],
    [
      'keys of 8 KB that differ in their last character',
      2500,
      (version: number) =>
        `SELECT concat(repeat('k', 8000), n) AS id, if(n = 7, ${version}, 0) AS v FROM range(2500) r(n)`,
    ],
  ])('are found, compared and told one by one: %s', async (_, rows, sql) => {
    const played = await Played.open(harnessOf('48MB'))
    const added = await played.run(sql(1))
    expect(new Set(added.changes.map(({ op, key }) => `${op} ${key}`)).size).toBe(rows)
    expect((await played.diff(sql(1))).changes).toEqual([])
    const { changes } = await played.diff(sql(2))
    expect(changes).toHaveLength(1)
    const [change] = changes
    expect(change?.op).toBe('changed')
    const before = added.changes.find(({ key }) => key === change?.key)?.after
    expect(change?.before).toEqual(before)
    expect(change?.after).not.toEqual(before)
    await played.state[Symbol.asyncDispose]()
  })

  it('are told although only every other row of a stretch has gone', async () => {
    const sql = (step: number): string =>
      `SELECT concat(repeat('k', 8192), n) AS id, n AS v FROM range(0, 5000, ${step}) r(n)`
    const played = await Played.open(harnessOf('192MB'))
    await played.run(sql(1))
    const { changes } = await played.diff(sql(2))
    const gone = changes.map(({ op, key }) => `${op} ${key.replaceAll('k', '')}`)
    expect(new Set(gone)).toEqual(new Set(Array.from({ length: 2500 }, (_, i) => `removed ${2 * i + 1}`)))
    await played.state[Symbol.asyncDispose]()
  })

  it('are read as stretches where the state has them in blocks of another order, as partitions leave them', async () => {
    const BLOCK = 100
    const sql = (version: number): string =>
      `SELECT n::VARCHAR AS id, concat('${version}', repeat(md5(n::VARCHAR), 300)) AS t FROM range(2500) r(n)`
    const played = await Played.open(harnessOf('96MB'))
    await using state = played.state
    const { changes: added } = await played.diff(sql(1))
    const partitionOf = (index: number): number => Math.floor(index / BLOCK) % 4
    const fed = [0, 1, 2, 3].flatMap(partition =>
      added.filter((_, index) => partitionOf(index) === partition),
    )
    await played.deliver(fed, 'delivered')
    await state.commit()
    const run = vi.spyOn(DuckDBConnection.prototype, 'run')
    const { changes } = await played.diff(sql(2))
    const statements = run.mock.calls.map(([text]) => text)
    run.mockRestore()
    expect(changes).toHaveLength(added.length)
    const before = new Map(added.map(({ key, after }) => [key, after]))
    for (const change of changes) expect(change.before).toEqual(before.get(change.key))
    expect(statements.filter(text => text.includes('INSERT INTO collected')).length).toBeGreaterThan(0)
    expect(statements.filter(text => text.includes('IN (SELECT srid'))).toEqual([])
  })
})
