import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errorOf, modelOf, sourceContract } from '../../test/contract.ts'
import { sourceHere } from '../../test/extract-here.ts'
import { queryFile } from '../../test/query-file.ts'
import { createFileSource } from './files.ts'

const { signal } = new AbortController()
let folder = ''
let files = 0

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-source-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function open(path = folder, timeout?: number) {
  return createFileSource({
    spec: {
      kind: 'source',
      name: 'shop',
      type: 'duckdb',
      path,
      ...(timeout === undefined ? {} : { timeout }),
    },
  })
}

async function rowsOf(sql: string, source = open()): Promise<object[]> {
  const { file } = await source.extract(modelOf(sql), { file: join(folder, `extract-${files++}`), signal })
  return queryFile(file, 'FROM rows')
}

sourceContract('duckdb', () => ({
  open: () => Promise.resolve(open()),
  endlessSql: 'SELECT count(*) AS id FROM range(1000000) a, range(1000000) b',
  numbers: (from, to) => `range(${from}, ${to + 1}) AS numbers(n)`,
  characterOf: codePoint => `chr(CAST(${codePoint} AS INTEGER))`,
  firstCharacter: 0,
  values: [
    ['true', { kind: 'boolean' }, 'true'],
    ['CAST(255 AS UTINYINT)', { kind: 'integer' }, '255'],
    ['9223372036854775807', { kind: 'long' }, '9223372036854775807'],
    [
      'CAST(18446744073709551615 AS UBIGINT)',
      { kind: 'decimal', precision: 20, scale: 0 },
      '18446744073709551615',
    ],
    ['CAST(1.5 AS DECIMAL(9,2))', { kind: 'decimal', precision: 9, scale: 2 }, '1.50'],
    ['CAST(0.1 AS FLOAT)', { kind: 'float' }, '0.1'],
    ['CAST(0.1 AS DOUBLE)', { kind: 'double' }, '0.1'],
    ["'a '", { kind: 'text' }, 'a '],
    ["unhex('00FF5C0A')", { kind: 'bytes' }, '00FF5C0A'],
    [
      "CAST('0E37DF36-F698-11E6-8DD4-CB9CED3DF976' AS UUID)",
      { kind: 'uuid' },
      '0e37df36-f698-11e6-8dd4-cb9ced3df976',
    ],
    ["CAST('2024-02-29' AS DATE)", { kind: 'date' }, '2024-02-29'],
    ["CAST('12:34:56.000001' AS TIME)", { kind: 'time' }, '12:34:56.000001'],
    [
      "CAST('2024-02-29 12:34:56.000001' AS TIMESTAMP)",
      { kind: 'timestamp', zone: false },
      '2024-02-29 12:34:56.000001',
    ],
    [
      "CAST('2024-02-29 12:34:56.123456789' AS TIMESTAMP_NS)",
      { kind: 'text' },
      '2024-02-29T12:34:56.123456789',
    ],
    ['CAST(\'{"b": 1.50}\' AS JSON)', { kind: 'json' }, '{"b": 1.50}'],
    ['[1, NULL, 3]', { kind: 'list', of: { kind: 'integer' } }, '[1, NULL, 3]'],
    ["{'a': 1}", { kind: 'struct', fields: [{ name: 'a', type: { kind: 'integer' } }] }, "{'a': 1}"],
  ],
}))

describe('an extract', () => {
  const isUnchangedAfter = async (
    sql: string,
    change: () => void,
    aged = 10_000,
  ): Promise<boolean | undefined> => {
    writeFileSync(join(folder, 'p1.csv'), 'id,name\n1,Ann\n2,Bob\n')
    writeFileSync(join(folder, 'old.json'), '{"id":1}')
    const now = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + aged)
    const out = mkdtempSync(join(tmpdir(), 'sluice-extract-'))
    try {
      const { isUnchanged } = await sourceHere(folder).extract(modelOf(sql), {
        file: join(out, 'rows'),
        signal,
      })
      expect([undefined, true]).toContain(isUnchanged?.())
      change()
      return isUnchanged?.()
    } finally {
      now.mockRestore()
      rmSync(out, { recursive: true })
    }
  }
  const nothing = (): void => undefined

  it.each([
    "SELECT id, upper(name) AS name FROM 'p1.csv' WHERE id + 1 > 0",
    "FROM 'p*.csv'",
    "SELECT id, count(*) AS n FROM read_csv('p1.csv') JOIN read_json('old.json') USING (id) GROUP BY id",
  ])('knows without a reading that the rows are the same: %s', async sql => {
    expect(await isUnchangedAfter(sql, nothing)).toBe(true)
  })

  it.each<[what: string, sql: string, change: () => void]>([
    ['is written', "FROM 'p1.csv'", () => appendFileSync(join(folder, 'p1.csv'), '3,Cyd\n')],
    [
      'is written, behind a pattern',
      "FROM 'p*.csv'",
      () => appendFileSync(join(folder, 'p1.csv'), '3,Cyd\n'),
    ],
    ['is gone', "FROM 'p1.csv'", () => rmSync(join(folder, 'p1.csv'))],
    ['is new', "FROM 'p*.csv'", () => writeFileSync(join(folder, 'p2.csv'), 'id,name\n3,Cyd\n')],
    [
      'is replaced by one of the same size',
      "FROM 'p1.csv'",
      () => {
        writeFileSync(join(folder, 'next'), 'id,name\n1,Ann\n2,Bea\n')
        renameSync(join(folder, 'next'), join(folder, 'p1.csv'))
      },
    ],
  ])('knows that they may differ once a file %s', async (_, sql, change) => {
    expect(await isUnchangedAfter(sql, change)).toBe(false)
  })

  it.each([
    "SELECT id, now() AS at FROM 'p1.csv'",
    "SELECT id FROM 'p1.csv' WHERE current_date > '2020-01-01'",
    "SELECT id, localtimestamp AS at FROM 'p1.csv'",
    "SELECT id, random() AS r FROM 'p1.csv'",
    "SELECT id, ago(INTERVAL 1 DAY) AS at FROM 'p1.csv'",
    "SELECT id, age(TIMESTAMP '2020-01-01') AS a FROM 'p1.csv'",
    "SELECT id FROM 'p1.csv' USING SAMPLE 1",
    "SELECT id FROM 'p1.csv' TABLESAMPLE 50%",
    "SELECT size AS id FROM read_blob('p1.csv')",
    "SELECT file AS id FROM glob('p*')",
    'SELECT 1 AS id',
    "SELECT id FROM (SELECT id FROM 'p1.csv' ORDER BY uuid())",
    "FROM '**/p1.csv'",
  ])('knows nothing where rows follow from more than the content of files: %s', async sql => {
    expect(await isUnchangedAfter(sql, nothing)).toBeUndefined()
  })

  it('is uncertain of a file that was written a moment ago, since a further change may keep its times', async () => {
    expect(await isUnchangedAfter("FROM 'p1.csv'", nothing, 1_000)).toBeUndefined()
  })
})

describe('a .duckdb file', () => {
  const file = () => join(folder, 'shop.duckdb')
  beforeEach(() =>
    queryFile(
      file(),
      'CREATE TABLE orders AS SELECT 1 AS id; CREATE SCHEMA "my crm"; CREATE TABLE "my crm"."Customers" AS SELECT 2 AS id',
    ),
  )

  it('is read by its tables, by query and as a whole table', async () => {
    expect(await rowsOf('SELECT id FROM orders', open(file()))).toEqual([{ id: 1 }])
    const { sql: _, ...model } = modelOf('')
    for (const [table, id] of [
      ['orders', 1],
      ['main.orders', 1],
      ['my crm.Customers', 2],
    ] as const) {
      const extract = await open(file()).extract(
        { ...model, table },
        { file: join(folder, `t-${table}`), signal },
      )
      expect(await queryFile(extract.file, 'FROM rows')).toEqual([{ id }])
    }
  })

  it('puts many rows into large row groups, since each takes memory, and few rows into small ones', async () => {
    const rowsOfGroup = async (rows: number): Promise<unknown> => {
      const file = join(folder, `${rows}.duckdb`)
      await queryFile(file, `CREATE TABLE numbers AS SELECT range AS id FROM range(${rows})`)
      const extract = { file: join(folder, `extract-${rows}`), signal }
      await open(file).extract(modelOf('SELECT id FROM numbers'), extract)
      const most = `SELECT max(count)::INTEGER AS rows FROM pragma_storage_info('rows') WHERE segment_type = 'VALIDITY'`
      return (await queryFile(extract.file, most))[0]
    }
    expect(await rowsOfGroup(1_200_000)).toEqual({ rows: 32_768 })
    expect(await rowsOfGroup(50_000)).toEqual({ rows: 2048 })
  })

  it('is never written', async () => {
    for (const sql of [
      'DROP TABLE orders',
      'INSERT INTO orders VALUES (2)',
      "COPY (SELECT 1) TO 'x.csv'",
      "ATTACH 'other.duckdb'",
      'PRAGMA version',
      'CALL pragma_version()',
      'USE memory',
      'EXPLAIN SELECT 1',
      'CHECKPOINT',
    ])
      expect((await errorOf(open(file()).describe(modelOf(sql), { signal }))).code).toBe('query')
    expect(await queryFile(file(), 'FROM orders')).toEqual([{ id: 1 }])
  })

  it('reports a table that does not exist', async () => {
    const error = await errorOf(open(file()).describe(modelOf('SELECT id FROM ordres'), { signal }))
    expect(error.code).toBe('query')
    expect(error.message).toContain('ordres')
    expect(error.details[0]).toMatchObject({ line: 1, column: 16 })
  })

  it('reports a file that is not a database', async () => {
    writeFileSync(join(folder, 'text.duckdb'), 'this is no database, whatever its name says')
    const error = await errorOf(
      open(join(folder, 'text.duckdb')).describe(modelOf('SELECT 1 AS id'), { signal }),
    )
    expect(error.message).toContain('not a DuckDB database')
  })
})

describe('limits', () => {
  it('end a query at the source’s time-out', async () => {
    const sql = 'SELECT count(*) AS id FROM range(1000000) a, range(1000000) b'
    const error = await errorOf(open(folder, 50).extract(modelOf(sql), { file: join(folder, 'e'), signal }))
    expect(error.code).toBe('query')
    expect(error.message).toContain('time-out of source shop')
  })

  it('name a path that does not exist', async () => {
    const error = await errorOf(open(join(folder, 'nowhere')).describe(modelOf('SELECT 1 AS id'), { signal }))
    expect(error.code).toBe('missing-file')
    expect(error.message).toContain(join(folder, 'nowhere'))
  })

  it('let no query load an extension, change the configuration, or reach the network', async () => {
    for (const sql of [
      "FROM 'https://127.0.0.1:1/x.csv'",
      "FROM 's3://bucket/x.parquet'",
      "FROM sqlite_scan('a', 'b')",
    ])
      expect((await errorOf(open().describe(modelOf(sql), { signal }))).code).toBe('query')
  })

  it('fail a query with a number that no column can carry', async () => {
    const sql = "SELECT 1 AS id, '170141183460469231731687303715884105727'::HUGEINT AS n"
    const error = await errorOf(open().extract(modelOf(sql), { file: join(folder, 'e'), signal }))
    expect(error.code).toBe('query')
  })
})
