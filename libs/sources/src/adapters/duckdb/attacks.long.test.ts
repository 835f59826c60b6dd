/** Somebody attacks who may write a model's SQL, and nothing else. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { SluiceError } from '@sluice/contracts/errors'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { errorOf, modelOf } from '../../../test/contract.ts'
import { extractHere } from '../../../test/extract-here.ts'
import { createFileSource } from '../files.ts'
import { acceptRows, openToAccept } from './accept-rows.ts'
import { DEFAULT_LIMITS, type FileLimits } from './file-limits.ts'

const { signal } = new AbortController()
let home = ''
let folder = ''

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sluice-attack-'))
  folder = join(home, 'folder')
  mkdirSync(folder)
  mkdirSync(join(home, 'extracts'))
  writeFileSync(join(folder, 'people.csv'), 'id,name\n1,Ann\n')
  writeFileSync(join(home, 'secret.csv'), 'id,name\n1,hush-hush\n')
})
afterEach(() => {
  rmSync(home, { recursive: true, force: true })
})

function open(
  path = folder,
  { memoryBytes = 512_000_000, ...limits }: Partial<FileLimits> & { memoryBytes?: number } = {},
) {
  const spec = { kind: 'source', name: 'shop', type: 'duckdb', path } as const
  return createFileSource({ spec, memoryBytes, limits: { ...DEFAULT_LIMITS, ...limits } })
}

const extractFile = (): string => join(home, 'extracts', 'extract')

async function refusalOf(sql: string, path = folder): Promise<SluiceError> {
  await using source = open(path)
  return await errorOf(source.extract(modelOf(sql), { file: extractFile(), signal }))
}

async function runIn(file: string, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  await connection.run(sql)
  connection.closeSync()
  instance.closeSync()
}

describe('SQL of a stranger', { timeout: 120_000 }, () => {
  it('takes no more memory than it may, whatever one value needs', async () => {
    await using source = open()
    const sql = "SELECT 1 AS id, length(repeat('x', 1500000000)) AS n, repeat('x', 1500000000) AS x"
    const error = await errorOf(source.extract(modelOf(sql), { file: extractFile(), signal }))
    expect(error.code).toBe('query')
    expect(error.message).toContain('needs more memory than it may have')
    expect(readdirSync(join(home, 'extracts'))).toEqual([])
  })

  it('nested deeper than any stack ends its process at most', async () => {
    const sql = `SELECT ${'('.repeat(20_000)}1${')'.repeat(20_000)} AS id`
    await using source = open()
    expect((await errorOf(source.extract(modelOf(sql), { file: extractFile(), signal }))).code).toBe('query')
  })

  it.each([
    [{ maxRows: 10 }, 'SELECT range AS id FROM range(11)', 'SLUICE_SOURCE_MAX_ROWS is 10'],
    [
      { maxBytes: 2_000_000, maxSpillBytes: 1_000_000 },
      'SELECT range AS id, md5(range::VARCHAR) AS x FROM range(200000)',
      'SLUICE_SOURCE_MAX_BYTES is 2000000',
    ],
    [
      { maxMs: 1500 },
      'SELECT count(*) AS id FROM range(1000000) a, range(1000000) b',
      'SLUICE_SOURCE_MAX_TIME allows, 1500 ms',
    ],
    [
      { maxSpillBytes: 1_000_000, memoryBytes: 64_000_000 },
      'SELECT range AS id, md5(range::VARCHAR) AS x, md5((range + 1)::VARCHAR) AS y FROM range(2000000) ORDER BY x, y',
      'SLUICE_SOURCE_MAX_SPILL',
    ],
  ])('stays within the limits of the operator: %o', async (limits, sql, says) => {
    await using source = open(folder, limits)
    const error = await errorOf(source.extract(modelOf(sql), { file: extractFile(), signal }))
    expect(error.code).toBe('query')
    expect(error.message).toContain(says)
    expect(readdirSync(join(home, 'extracts'))).toEqual([])
  })
})

describe('a .duckdb file of a stranger', { timeout: 120_000 }, () => {
  const file = (): string => join(folder, 'shop.duckdb')

  it.each([
    ["CREATE VIEW v AS SELECT 1 AS id FROM (VALUES (1)) WHERE EXISTS (FROM query('SELECT 1'))", 'query'],
    ["CREATE VIEW w AS FROM query('SELECT 1 AS id'); CREATE VIEW v AS SELECT * FROM w", 'query'],
    [
      `CREATE VIEW "x AS SELECT 1 --" AS FROM query('SELECT 1 AS id'); CREATE VIEW v AS FROM "x AS SELECT 1 --"`,
      'query',
    ],
    [
      "CREATE MACRO upper(x) AS (SELECT count(*) FROM query('SELECT 1')); CREATE VIEW v AS SELECT upper('x') AS id",
      'upper',
    ],
    ["CREATE MACRO m() AS TABLE FROM query('SELECT 1 AS id'); CREATE VIEW v AS FROM m()", 'm'],
    [`CREATE VIEW "İ" AS FROM query('SELECT 1 AS id'); CREATE VIEW v AS FROM "İ"`, 'query'],
    [`CREATE VIEW "ΑΣ" AS FROM query('SELECT 1 AS id'); CREATE VIEW v AS FROM "ΑΣ"`, 'query'],
    [
      "CREATE TABLE t (id INTEGER, x VARCHAR AS (current_setting('threads'))); CREATE VIEW v AS FROM t",
      'current_setting',
    ],
    [
      `CREATE TABLE "Ș" (id INTEGER, x VARCHAR AS (json_serialize_plan('SELECT 1'))); CREATE VIEW v AS SELECT id FROM "Ș"`,
      'json_serialize_plan',
    ],
  ])('hides nothing in views, macros and calculated columns: %s', async (sql, name) => {
    await runIn(file(), sql)
    const error = await refusalOf('SELECT * FROM v', file())
    expect(error.message).toContain(`it calls ${name},`)
  })

  it('reads no other file, neither in a view nor beside it', async () => {
    await runIn(file(), `CREATE VIEW v AS SELECT * FROM read_text('${folder}/people.csv')`)
    for (const sql of ['SELECT * FROM v', "SELECT * FROM 'people.csv'"])
      expect((await refusalOf(sql, file())).message).toContain('reads this file alone')
  })

  it('may have views and calculated columns that only read', async () => {
    await runIn(
      file(),
      "CREATE TABLE t (id INTEGER, x VARCHAR AS (upper('x' || id))); INSERT INTO t VALUES (1); CREATE VIEW v(id) AS SELECT max(id) AS n FROM t",
    )
    await using source = open(file())
    const extract = await source.extract(modelOf('SELECT id FROM v'), { file: extractFile(), signal })
    expect(extract.rowCount).toBe(1)
  })

  it('that is garbage behind a right beginning ends its query only', async () => {
    await runIn(file(), 'CREATE TABLE t AS SELECT range AS id FROM range(100000)')
    const bytes = readFileSync(file())
    for (let at = 8192; at < bytes.length; at += 7) bytes[at] = (bytes[at] ?? 0) ^ 0x5a
    writeFileSync(file(), bytes)
    await using source = open(file())
    await errorOf(source.extract(modelOf('SELECT * FROM t'), { file: extractFile(), signal }))
    expect(readdirSync(join(home, 'extracts'))).toEqual([])
  })
})

describe('what runs keep in the folder of a source', () => {
  beforeEach(() => {
    mkdirSync(join(folder, '.sluice', 'tmp'), { recursive: true })
    writeFileSync(join(folder, '.sluice', 'key'), 'id\nhush-hush\n')
    writeFileSync(join(folder, '.sluice', 'tmp', 'rows.csv'), 'id\nhush-hush\n')
    symlinkSync(join(folder, '.sluice'), join(folder, 'link'))
  })
  const extractOf = (sql: string) => {
    return extractHere(modelOf(sql), { folder, file: extractFile() })
  }

  it.each([
    "SELECT * FROM read_csv('.sluice/key', header = false)",
    "SELECT * FROM read_csv(header = true, '.sluice/key')",
    "SELECT * FROM read_csv(['people.csv', '.sluice/key'])",
    "SELECT content AS id FROM read_text(array['.sluice/key'])",
    "SELECT content AS id FROM read_text('*/k?y')",
    "SELECT content AS id FROM read_text('.[s]luice/key')",
    "SELECT content AS id FROM read_blob('link/key')",
    "SELECT content AS id FROM read_text('x/../.sluice/./key')",
    "SELECT file AS id FROM glob('**')",
    "SELECT * FROM '.sluice/tmp/rows.csv'",
    "SELECT * FROM '**/rows.csv'",
    "SELECT (SELECT count(*) FROM '.sluice/tmp/rows.csv') AS id",
    "WITH x AS (SELECT * FROM sniff_csv('.sluice/key')) SELECT 1 AS id FROM x",
  ])('is not read by %s', async sql => {
    const error = await errorOf(extractOf(sql))
    expect(error).toMatchObject({ code: 'query', message: expect.stringContaining('those of Sluice') })
  })

  it('is not read by a name that is worked out, or that begins with a scheme', async () => {
    const key = join(folder, '.sluice', 'key')
    for (const name of [
      `'../' || 'secret.csv'`,
      `'${folder}/.slu' || 'ice/key'`,
      `['${folder}/.slu' || 'ice/key']`,
      `'${key}'::VARCHAR`,
    ]) {
      const error = await errorOf(extractOf(`SELECT content AS id FROM read_text(${name})`))
      expect(error.message).toContain('it works out the name of a file')
    }
    for (const name of [key, `file:${key}`, `file://${key}`]) {
      const error = await errorOf(extractOf(`SELECT content AS id FROM read_text('${name}')`))
      expect([name, error.message]).toEqual([name, expect.stringContaining('those of Sluice')])
    }
  })

  it('does not keep a query from the other files', async () => {
    mkdirSync(join(folder, 'data'))
    writeFileSync(join(folder, 'data', 'more.csv'), 'id,name\n2,Bob\n')
    const rowsOf = async (sql: string) => {
      const { rowCount } = await extractOf(sql)
      rmSync(extractFile())
      return rowCount
    }
    expect(await rowsOf("SELECT * FROM '*.csv'")).toBe(1)
    expect(await rowsOf("SELECT * FROM 'data/**/*.csv'")).toBe(1)
    expect(await rowsOf("SELECT * FROM read_csv(['people.csv', 'data/more.csv'])")).toBe(2)
  })

  it('is no source where the operator names the folders', async () => {
    for (const path of [join(folder, '.sluice'), join(folder, '.sluice', 'tmp'), join(folder, 'link')]) {
      await using source = open(path, { roots: [folder] })
      const error = await errorOf(source.describe(modelOf("SELECT * FROM 'rows.csv'"), { signal }))
      expect(error).toMatchObject({ code: 'config', message: expect.stringContaining('does not lie below') })
    }
  })
})

describe('the path of a source', () => {
  it('lies below a root of the operator, without links that lead out', async () => {
    mkdirSync(join(home, 'root', 'inner'), { recursive: true })
    writeFileSync(join(home, 'root', 'inner', 'people.csv'), 'id\n1\n')
    symlinkSync(folder, join(home, 'root', 'out'))
    const roots = [join(home, 'root')]
    const sql = "SELECT * FROM 'people.csv'"
    await using inner = open(join(home, 'root', 'inner'), { roots })
    expect((await inner.extract(modelOf(sql), { file: extractFile(), signal })).rowCount).toBe(1)
    const outside = [
      folder,
      join(home, 'root', 'out'),
      join(home, 'root', '..', 'folder'),
      `${join(home, 'root')}x`,
    ]
    for (const path of outside) {
      await using source = open(path, { roots })
      const error = await errorOf(source.describe(modelOf(sql), { signal }))
      expect(error.code).toBe('config')
      expect(error.message).toContain('SLUICE_SOURCE_ROOTS')
    }
  })
})

it('a source reads no folder where the operator names none', async () => {
  for (const path of [folder, '/', join(home, 'nothing-here')]) {
    await using source = open(path, { roots: [] })
    const error = await errorOf(source.describe(modelOf("SELECT * FROM 'people.csv'"), { signal }))
    expect(error.code).toBe('config')
    expect(error.message).toContain('since SLUICE_SOURCE_ROOTS is not set')
  }
})

describe('the file of a process that was taken over', () => {
  const model = modelOf('SELECT 1 AS id')
  const rowsOf = async (rowCount: number) => {
    await using session = await openToAccept(extractFile())
    return await acceptRows(extractFile(), { model, rowCount, session })
  }

  it('is taken if it is one plain table with as many rows as were reported', async () => {
    await runIn(
      extractFile(),
      'CREATE TABLE rows AS SELECT 1 AS id, [1.5::DECIMAL(9,2)] AS "x y", \'{}\'::JSON AS j',
    )
    const { columns, rowCount } = await rowsOf(1)
    expect(rowCount).toBe(1)
    expect(columns.map(({ name }) => name)).toEqual(['id', 'x y', 'j'])
    expect(columns[2]?.type).toEqual({ kind: 'json' })
  })

  it.each([
    ['is a view', "CREATE VIEW rows AS SELECT * FROM read_text('/etc/passwd')"],
    ['has a view, too', 'CREATE TABLE rows AS SELECT 1 AS id; CREATE VIEW v AS FROM rows'],
    ['has a macro', 'CREATE TABLE rows AS SELECT 1 AS id; CREATE MACRO upper(x) AS 1'],
    ['has another table', 'CREATE TABLE rows AS SELECT 1 AS id; CREATE TABLE t AS SELECT 1 AS id'],
    ['has another schema with its table', 'CREATE SCHEMA s; CREATE TABLE s.rows AS SELECT 1 AS id'],
    ['calculates a column', "CREATE TABLE rows (id INTEGER, x VARCHAR AS (repeat('x', 1000000)))"],
    ['has a default', 'CREATE TABLE rows (id INTEGER DEFAULT 7)'],
    ['has an index', 'CREATE TABLE rows AS SELECT 1 AS id; CREATE INDEX i ON rows (id)'],
    ['has a type of its own', "CREATE TYPE t AS ENUM ('a'); CREATE TABLE rows (id t)"],
    ['has a type that is not carried', 'CREATE TABLE rows (id HUGEINT)'],
    ['has fewer rows than were told', 'CREATE TABLE rows (id INTEGER)'],
  ])('is refused if it %s', async (_, sql) => {
    await runIn(extractFile(), sql)
    const error = await errorOf(rowsOf(1))
    expect(error.code).toBe('internal')
    expect(error.message).toContain('Nothing of it was taken')
  })

  it('is refused if it is no file, no database, or has a write-ahead log', async () => {
    expect((await errorOf(rowsOf(1))).message).toContain('no file is there')
    symlinkSync(join(home, 'secret.csv'), extractFile())
    expect((await errorOf(rowsOf(1))).message).toContain('no file is there')
    rmSync(extractFile())
    writeFileSync(extractFile(), 'no database')
    await errorOf(rowsOf(1))
    rmSync(extractFile())
    await runIn(extractFile(), 'CREATE TABLE rows AS SELECT 1 AS id')
    writeFileSync(`${extractFile()}.wal`, 'x')
    expect((await errorOf(rowsOf(1))).message).toContain('write-ahead log')
    expect(existsSync(extractFile())).toBe(true)
  })
})
