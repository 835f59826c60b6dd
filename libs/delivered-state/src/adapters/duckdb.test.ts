import { DuckDBConnection, type DuckDBMaterializedResult } from '@duckdb/node-api'
import { describe, expect, it, vi } from 'vitest'
import { deliveredStateContract } from '../../test/contract.ts'
import { TIMEOUT } from '../../test/harness.ts'
import { duckdbHarness } from '../../test/duckdb-harness.ts'
import { Played } from '../../test/played.ts'

const harness = duckdbHarness()

deliveredStateContract('duckdb', () => harness)

describe('a large diff', TIMEOUT, () => {
  it.each(['id', 'id, CAST(id AS DOUBLE) AS d'])('of %s asks for its rows in chunks only', async columns => {
    const extract = await harness.extract(
      `SELECT ${columns} FROM (SELECT range::INTEGER AS id FROM range(20000))`,
    )
    await using state = await harness.open({ name: 'state' })
    const reading = vi.spyOn(DuckDBConnection.prototype, 'run')
    const diff = await state.diff({
      extractFile: extract.file,
      columns: extract.columns,
      primaryKey: ['id'],
      compare: extract.columns.map(({ name }) => name),
      opsWithTrigger: new Set(['added']),
      baseline: false,
      signal: new AbortController().signal,
    })
    let changes = 0
    for await (const batch of diff.changes()) changes += batch.changes.length
    expect(changes).toBe(20_000)
    const answers = reading.mock.results as { readonly value: Promise<DuckDBMaterializedResult> }[]
    const rows = (await Promise.all(answers.map(({ value }) => value))).map(result => result.rowCount)
    reading.mockRestore()
    expect(rows.length).toBeGreaterThan(0)
    expect(Math.max(...rows)).toBeLessThan(100)
  })
})

it('writes nothing while a diff is open, since DuckDB could rewrite the file and change its row ids', async () => {
  const played = await Played.open(harness)
  await using state = played.state
  await played.run("SELECT '1' AS id")
  await played.run("SELECT '1' AS id LIMIT 0")
  const told: string[] = []
  const endGone = (): Promise<void> =>
    state.endGone(9, async keys => void told.push(...keys.map(({ key }) => key)), {
      signal: new AbortController().signal,
    })
  await played.diff("SELECT '2' AS id")
  const writing = vi.spyOn(DuckDBConnection.prototype, 'run')
  await endGone()
  const written = writing.mock.calls.map(([sql]) => sql).filter(sql => !sql.startsWith('SELECT'))
  writing.mockRestore()
  expect(written).toEqual([])
  await played.diff("SELECT '2' AS id")
  await endGone()
  expect(told).toEqual(['1'])
})

/** Makes DuckDB fail at the first statement that contains the text. */
function failing(text: string, message: string): { mockRestore(): void } {
  const { run } = DuckDBConnection.prototype
  return vi.spyOn(DuckDBConnection.prototype, 'run').mockImplementation(function (
    this: DuckDBConnection,
    ...args
  ) {
    return args[0].includes(text) ? Promise.reject(new Error(message)) : run.apply(this, args)
  })
}

it('takes no row as changed after dying while it hashed them for other columns', TIMEOUT, async () => {
  const rows = "SELECT '1' AS id, 10 AS v, 'a' AS w"
  const before = await Played.open(harness)
  await before.run(rows)
  const dying = failing("INSERT INTO meta VALUES ('hash'", 'killed')
  await expect(before.diff(rows, { compare: ['v'] })).rejects.toThrow('killed')
  dying.mockRestore()
  await before.state[Symbol.asyncDispose]()
  const after = await Played.open(harness)
  expect((await after.diff(rows)).changes).toEqual([])
  await after.state[Symbol.asyncDispose]()
})

it('reports a full disk while changes are read as an error that a retry does not mend', async () => {
  const played = await Played.open(harness)
  const full = failing('TEMP TABLE ordered', 'IO Error: Could not write file "x": No space left on device')
  await expect(played.diff("SELECT '1' AS id")).rejects.toMatchObject({ code: 'disk', retryable: false })
  full.mockRestore()
  await played.state[Symbol.asyncDispose]()
})
