import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { errorOf, modelOf, sourceContract } from '../../test/contract.ts'
import { queryFile } from '../../test/query-file.ts'
import { DEFAULT_LIMITS } from './duckdb/file-limits.ts'
import { createFileSource } from './files.ts'

const { signal } = new AbortController()
let folder = ''
let files = 0
const database = () => join(folder, 'shop.sqlite')

/** Runs SQL on the database, as the program that owns it does. */
function run(sql: string): void {
  const opened = new DatabaseSync(database())
  opened.exec(sql)
  opened.close()
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-sqlite-'))
  run('CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT)')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const open = (path = database(), timeout?: number) =>
  createFileSource({
    spec: {
      kind: 'source',
      name: 'shop',
      type: 'sqlite',
      path,
      ...(timeout === undefined ? {} : { timeout }),
    },
  })

/** The types of the columns, and the rows with all values as text. */
async function read(sql: string) {
  await using source = open()
  const { file, columns } = await source.extract(modelOf(sql), { file: join(folder, `e${files++}`), signal })
  const rows = await queryFile(file, 'SELECT CAST(COLUMNS(*) AS VARCHAR) FROM rows')
  return {
    kinds: columns.map(({ type }) => type.kind),
    rows: rows.map(row => Object.values(row) as unknown[]),
  }
}

async function failureOf(sql: string, source = open()) {
  await using opened = source
  return await errorOf(opened.extract(modelOf(sql), { file: join(folder, 'e'), signal }))
}

sourceContract('sqlite', () => ({
  open: () => Promise.resolve(open()),
  endlessSql: 'WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT count(*) AS id FROM s',
  numbers: (from, to) =>
    `(WITH RECURSIVE s(n) AS (SELECT ${from} UNION ALL SELECT n + 1 FROM s WHERE n < ${to}) SELECT n FROM s) AS numbers`,
  characterOf: codePoint => `char(${codePoint})`,
  firstCharacter: 0,
  longText: "printf('%.*c', 13000000, 'x')",
  values: [
    ['-9223372036854775808', { kind: 'long' }, '-9223372036854775808'],
    ['9007199254740993', { kind: 'long' }, '9007199254740993'],
    ['0.1', { kind: 'double' }, '0.1'],
    ['1.7976931348623157e308', { kind: 'double' }, '1.7976931348623157e+308'],
    ['9e999', { kind: 'double' }, 'inf'],
    ["'a '", { kind: 'text' }, 'a '],
    ["x'00FF5C0A'", { kind: 'bytes' }, '00FF5C0A'],
    ['json(\'[1.50, "é"]\')', { kind: 'text' }, '[1.50,"é"]'],
  ],
}))

describe('a column', () => {
  it('of numbers keeps each as it is: an integer beyond 2^53, a real, and both', async () => {
    run('CREATE TABLE n (id INTEGER, price DECIMAL(9,2), weight REAL)')
    run('INSERT INTO n VALUES (9007199254740993, 9007199254740993, 1), (2, 1.5, 2), (3, NULL, 2.5)')
    expect(await read('SELECT id, price, weight FROM n')).toEqual({
      kinds: ['long', 'json', 'double'],
      rows: [
        ['9007199254740993', '9007199254740993', '1.0'],
        ['2', '1.5', '2.0'],
        ['3', null, '2.5'],
      ],
    })
  })

  it('of numbers and texts is JSON, though the texts come after many rows', async () => {
    run('CREATE TABLE n (id INTEGER, v)')
    run(
      'INSERT INTO n WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5000) SELECT n, n FROM s',
    )
    run(`INSERT INTO n VALUES (5001, 'say "1"'), (5002, 2.0), (5003, 9e999), (5004, '')`)
    const { kinds, rows } = await read('SELECT id, v FROM n ORDER BY id')
    expect(kinds).toEqual(['long', 'json'])
    expect(rows).toHaveLength(5004)
    expect(rows[0]).toEqual(['1', '1'])
    expect(rows.slice(5000).map(([, v]) => v)).toEqual(['"say \\"1\\""', '2.0', 'Infinity', '""'])
  })

  it('of blobs and other values fails the query, and says what to write', async () => {
    run("CREATE TABLE n (id INTEGER, v); INSERT INTO n VALUES (1, x'00'), (2, 'a')")
    const error = await failureOf('SELECT id, v FROM n')
    expect(error.code).toBe('query')
    expect(error.message).toContain('column v has blobs beside values of the type text')
    expect(error.message).toContain('hex("v")')
    expect((await read('SELECT id, hex(v) AS v FROM n')).rows).toEqual([
      ['1', '00'],
      ['2', '61'],
    ])
  })

  it('without values has its declared type', async () => {
    run('CREATE TABLE n (i BIGINT, r DOUBLE, t VARCHAR(9), b BLOB, d DATE, m DECIMAL(9,2), x)')
    await using source = open()
    const columns = await source.describe(modelOf('SELECT *, 1 + x AS y FROM n'), { signal })
    expect(columns.map(({ type }) => type.kind)).toEqual([
      ...['long', 'double', 'text', 'bytes', 'text', 'long', 'text', 'text'],
    ])
  })
})

describe('a database', () => {
  it('is read by its tables, and a sample reads no more than it has to', async () => {
    run("INSERT INTO orders VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    await using source = open()
    const { sql: _, ...model } = modelOf('')
    for (const table of ['orders', 'main.orders']) {
      const extract = { file: join(folder, table), signal }
      expect((await source.extract({ ...model, table }, extract)).rowCount).toBe(3)
    }
    const sample = { file: join(folder, 'sample'), signal, sample: 2 }
    expect((await source.extract(modelOf('SELECT id FROM orders;'), sample)).rowCount).toBe(2)
    const wrong = errorOf(
      source.extract(modelOf('SELECT nope FROM orders'), { ...sample, file: join(folder, 'w') }),
    )
    expect((await wrong).details[0]).toMatchObject({ line: 1, column: 8 })
  })

  it('is read while its program writes, as it was when the query began', async () => {
    run("PRAGMA journal_mode = WAL; INSERT INTO orders VALUES (1, 'a')")
    const writer = new DatabaseSync(database())
    writer.exec("BEGIN IMMEDIATE; INSERT INTO orders VALUES (2, 'b')")
    expect((await read('SELECT id FROM orders')).rows).toEqual([['1']])
    writer.exec('COMMIT')
    expect((await read('SELECT id FROM orders')).rows).toEqual([['1'], ['2']])
    writer.close()
  })

  it('that is locked fails the run, which may be tried again', async () => {
    const writer = new DatabaseSync(database())
    writer.exec('BEGIN EXCLUSIVE')
    const error = await failureOf('SELECT id FROM orders')
    writer.close()
    expect(error).toMatchObject({ code: 'unreachable', retryable: true })
    expect(error.message).toContain('another process writes to')
  })

  it('is never written, and SQL reaches nothing else', async () => {
    for (const sql of [
      'DROP TABLE orders',
      'INSERT INTO orders VALUES (2)',
      'WITH x AS (SELECT 1) DELETE FROM orders',
      `ATTACH '${join(folder, 'other')}' AS other`,
      `VACUUM INTO '${join(folder, 'other')}'`,
      'PRAGMA journal_mode = DELETE',
      "SELECT * FROM pragma_journal_mode('DELETE')",
      'SELECT * FROM pragma_database_list',
      "SELECT load_extension('x')",
      "SELECT readfile('/etc/passwd') AS id",
      "SELECT writefile('x', 'y') AS id",
      'EXPLAIN SELECT 1',
      'SELECT ? AS id',
      'SELECT :name AS id',
    ])
      expect((await failureOf(sql)).code, sql).toBe('query')
    expect(readdirSync(folder)).toEqual(['shop.sqlite'])
    expect((await read("SELECT name AS id FROM pragma_table_info('orders')")).rows).toEqual([
      ['id'],
      ['name'],
    ])
  })

  it.each([
    ['SELECT id,\n  nope FROM orders', 2, 3, 'no such column: nope'],
    ['SELECT id\nFORM orders', 2, 6, 'syntax error'],
    ['SELECT lenght(name) AS id FROM orders', 1, 8, 'no such function: lenght'],
    ['SELECT id FROM ordres', 1, 16, 'no such table: ordres; check its name, and its schema'],
  ])('reports its own message and the place for %j', async (sql, line, column, said) => {
    const error = await failureOf(sql)
    expect(error.message).toContain(`fails in source shop (line ${line}, column ${column} of its SQL): `)
    expect(error.message).toContain(said)
    expect(error.details[0]).toMatchObject({ field: 'sql', line, column })
  })

  it('is a file of SQLite, outside of the state of Sluice and below the roots', async () => {
    const text = join(folder, 'text.sqlite')
    writeFileSync(
      text,
      'this is no database, whatever its name says, and it is longer than a header'.repeat(99),
    )
    expect((await failureOf('SELECT 1 AS id', open(text))).message).toContain('is not a SQLite database')
    const missing = await failureOf('SELECT 1 AS id', open(join(folder, 'shop.sqlit')))
    expect(missing).toMatchObject({
      code: 'missing-file',
      message: expect.stringContaining('Did you mean shop.sqlite'),
    })
    expect((await failureOf('SELECT 1 AS id', open(folder))).message).toContain('is a folder')
    mkdirSync(join(folder, '.sluice'))
    const state = join(folder, '.sluice', 'log.db')
    new DatabaseSync(state).close()
    const kept = await failureOf('SELECT 1 AS id', open(state))
    expect(kept).toMatchObject({ code: 'config', details: [{ field: 'path' }] })
    const spec = { kind: 'source', name: 'shop', type: 'sqlite', path: database() } as const
    const elsewhere = createFileSource({ spec, limits: { ...DEFAULT_LIMITS, roots: ['/nowhere'] } })
    expect((await failureOf('SELECT 1 AS id', elsewhere)).message).toContain('SLUICE_SOURCE_ROOTS')
  })

  it('sorts more than its memory holds in files that are gone afterwards', async () => {
    const rows = `WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 200000) SELECT n AS id, printf('%.*c', 200, 'x') AS filling FROM s`
    await using source = open()
    const extract = await source.extract(modelOf(`${rows} ORDER BY random()`), {
      file: join(folder, 'e'),
      signal,
    })
    expect(extract.rowCount).toBe(200_000)
    expect(readdirSync(folder).sort()).toEqual(['e', 'shop.sqlite'])
  })

  it('ends a query at the time-out of the source', async () => {
    const endless =
      'WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT count(*) AS id FROM s'
    expect((await failureOf(endless, open(database(), 500))).message).toContain(
      'time-out of source shop, 500 ms',
    )
  })
})
