/** A followed table whose rows go through the model's SQL, one by one. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { ModelSpec } from '@sluice/contracts/resources'
import { errorOf } from '../../test/contract.ts'
import { comparedRows, extractedRows, FollowedTables } from '../../test/followed-tables.ts'
import { entriesOf, readerOf } from '../../test/stream-contract.ts'

const url = inject('postgresUrl')
const { signal } = new AbortController()

describe.skipIf(url === null)('SQL over a followed table', { timeout: 60_000 }, () => {
  const tables = new FollowedTables(new URL(url ?? 'postgres://nobody@127.0.0.1:1/none'))
  let folder = ''
  let files = 0
  const file = () => join(folder, `extract-${(files += 1)}`)
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-follow-'))
    await tables.connect()
  })
  afterAll(async () => {
    await tables[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })
  const TABLE = `CREATE TABLE FOLLOWED (id int PRIMARY KEY, name text, country text, tags text[], price numeric(9,2), data jsonb, seen timestamptz);
    ALTER TABLE FOLLOWED REPLICA IDENTITY FULL`
  const SQL = `SELECT id, upper(name) AS name, tags[1] AS first, price * 2 AS twice, data->>'a' AS a, seen FROM changes WHERE country = 'DE'`
  const row = (id: number, name: string, country: string) =>
    `(${id}, '${name}', '${country}', ARRAY['${name}', E'b\\\\c\\td'], 1.25, '{"a": "x\\ty"}', '2024-02-29 12:00:00+02')`
  const expected = (id: number, name: string, first: string) => ({
    id,
    name,
    first,
    twice: expect.objectContaining({ text: '2.50' }),
    a: 'x\ty',
    seen: '2024-02-29T10:00:00Z',
  })

  it('gives the rows of a comparison, of the log, and of a schedule alike', async () => {
    await using test = await tables.make(TABLE)
    const model: ModelSpec = { ...test.model, sql: SQL }
    const { admin } = tables
    await using source = test.open()
    await using reader = await readerOf(source, model, null)
    await admin.query(`INSERT INTO ${test.table} VALUES ${row(1, 'ann', 'DE')}, ${row(2, 'bob', 'FR')}`)
    const { rows, columns } = await comparedRows(reader, file())
    expect(rows).toEqual([expected(1, 'ANN', 'ann')])
    expect((await source.describe(model, { signal })).columns).toEqual(columns)
    await admin.query(`INSERT INTO ${test.table} VALUES ${row(3, 'cy', 'DE')}, ${row(4, 'di', 'FR')}`)
    await admin.query(
      `UPDATE ${test.table} SET country = 'FR' WHERE id = 1; UPDATE ${test.table} SET country = 'DE' WHERE id = 2`,
    )
    await admin.query(`UPDATE ${test.table} SET id = 5 WHERE id = 3; DELETE FROM ${test.table} WHERE id = 2`)
    const { entries } = await entriesOf(reader, 7)
    expect(entries.map(entry => [entry.key, entry.row])).toEqual([
      ['3', expected(3, 'CY', 'cy')],
      ['4', null],
      ['1', null],
      ['2', expected(2, 'BOB', 'bob')],
      ['3', null],
      ['5', expected(5, 'CY', 'cy')],
      ['2', null],
    ])
    await using scheduled = test.openTable()
    const extract = await extractedRows(scheduled, model, file())
    expect(extract.rows).toEqual([expected(5, 'CY', 'cy')])
    expect(extract.columns).toEqual(columns)
    expect(await scheduled.describe(model, { signal })).toEqual(columns)
    expect((await comparedRows(reader, file())).rows).toEqual(extract.rows)
  })

  it('reads no more of a table than a sample takes, and reads a table that is not followed by its own SQL', async () => {
    await using test = await tables.make(
      `${TABLE}; INSERT INTO FOLLOWED VALUES ${row(1, 'ann', 'DE')}, ${row(2, 'bob', 'DE')}`,
    )
    await using source = test.openTable()
    const sampled = await source.extract({ ...test.model, sql: SQL }, { file: file(), signal, sample: 1 })
    expect(sampled.rowCount).toBe(1)
    const { table: _, ...plain } = test.model
    const own = await source.extract(
      { ...plain, sql: `SELECT id FROM ${test.table}` },
      { file: file(), signal },
    )
    expect(own.rowCount).toBe(2)
  })

  it.each([
    ['SELECT count(*) AS id FROM changes', 'aggregate'],
    ['SELECT id FROM changes, changes AS c', 'joins'],
    ["SELECT id FROM read_csv('/etc/passwd')", 'something else'],
    ['SELECT id + 1 AS id FROM changes', 'gives as it is, found `id`'],
    ['SELECT name FROM changes', 'gives as it is, found `id`'],
    ['SELECT id, nope FROM changes', 'nope'],
  ])('refuses what is not row by row: %s', async (sql, why) => {
    await using test = await tables.make(TABLE)
    await using source = test.open()
    const error = await errorOf(source.open({ ...test.model, sql }, null, { signal }))
    expect(error.message).toContain(why)
    expect(['query', 'config']).toContain(error.code)
  })

  it('takes a log that tells all values that the SQL reads', async () => {
    await using test = await tables.make(`${TABLE}; ALTER TABLE FOLLOWED REPLICA IDENTITY DEFAULT`)
    await using source = test.open()
    const error = await errorOf(source.open({ ...test.model, sql: SQL }, null, { signal }))
    expect(error.code).toBe('config')
    expect(error.message).toMatch(/`sql` reads "name": as \w+, run ALTER TABLE "\w+" REPLICA IDENTITY FULL/)
    const model = { ...test.model, sql: 'SELECT id, seen FROM changes' }
    await using reader = await readerOf(source, model, null)
    await comparedRows(reader, file())
    await tables.admin.query(`INSERT INTO ${test.table} VALUES ${row(1, 'ann', 'DE')}`)
    expect((await entriesOf(reader, 1)).entries).toMatchObject([{ key: '1', row: { id: 1 }, lacks: [] }])
  })
})
