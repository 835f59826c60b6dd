/**
 * The query of a stranger, in this process: nothing but the checks of the SQL keeps it from what it tries.
 */
import {
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
import type { SluiceError } from '@sluice/contracts/errors'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { errorOf, modelOf } from '../../../test/contract.ts'
import { sourceHere } from '../../../test/extract-here.ts'

const { signal } = new AbortController()

describe('SQL of a stranger', { timeout: 120_000 }, () => {
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

  const refusalOf = async (sql: string): Promise<SluiceError> => {
    await using source = sourceHere(folder)
    return await errorOf(source.extract(modelOf(sql), { file: join(home, 'extracts', 'extract'), signal }))
  }

  it.each([
    [
      "SELECT * FROM enable_profiling(format := 'json', save_location := '{home}/secret.csv')",
      'enable_profiling',
    ],
    ["SELECT * FROM enable_logging(storage := 'file', storage_path := '{home}/log')", 'enable_logging'],
    ["SELECT 1 AS id, write_log('x')", 'write_log'],
    ["SELECT * FROM query('SELECT * FROM enable_profiling()')", 'query'],
    ["SELECT * FROM system.main.query('SELECT 1 AS id')", 'query'],
    ['SELECT * FROM "QUERY"(\'SELECT 1 AS id\')', 'query'],
    ["SELECT * FROM query_table('people')", 'query_table'],
    ["SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))", 'json_'],
    ["SELECT json_serialize_plan('SELECT 1') AS id", 'json_serialize_plan'],
    ["SELECT 1 AS id WHERE EXISTS (FROM query('SELECT 1'))", 'query'],
    ['WITH a AS MATERIALIZED (FROM duckdb_settings()) SELECT 1 AS id', 'duckdb_settings'],
    ["SELECT current_setting('temp_directory') AS id", 'current_setting'],
    ["SELECT getenv('HOME') AS id", 'getenv'],
    ['SELECT * FROM duckdb_secrets()', 'duckdb_secrets'],
    ['SELECT * FROM duckdb_logs', 'duckdb_logs'],
    ['SELECT * FROM arrow_scan(1::UBIGINT::POINTER, 2::POINTER, 3::POINTER)', 'arrow_scan'],
    ["SELECT nextval('s') AS id", 'nextval'],
    ['SELECT * FROM pragma_database_size()', 'pragma_database_size'],
    ["SELECT * FROM sql_auto_complete('FROM \"/etc/')", 'sql_auto_complete'],
    ["SELECT * FROM read_duckdb('x.duckdb', table_name := 't')", 'read_duckdb'],
    ["FROM 'x.duckdb'", 'x.duckdb'],
    // DuckDB reads the file x.duckdb1 as a database by this name.
    ["FROM '{home}/folder/x.duckdb?'", 'x.duckdb?'],
  ])('calls no function that does more than read: %s', async (sql, name) => {
    const error = await refusalOf(sql.replaceAll('{home}', home))
    expect(error.code).toBe('query')
    expect(error.message).toContain(name)
    expect(error.message).toMatch(/one query that only reads/)
    expect(readFileSync(join(home, 'secret.csv'), 'utf8')).toContain('hush-hush')
    expect(readdirSync(home).sort()).toEqual(['extracts', 'folder', 'secret.csv'])
  })

  it.each([
    'PRAGMA enable_profiling',
    "ATTACH '{home}/new.duckdb'",
    "COPY (SELECT 1) TO '{home}/new.csv'",
    'WITH a AS (SELECT 1 AS id) INSERT INTO t FROM a',
    'SET lock_configuration = false',
    "LOAD 'httpfs'",
    "EXPORT DATABASE '{home}/new'",
    'SELECT 1 AS id; SELECT * FROM enable_profiling()',
    "SELECT 1 AS id) AS q; COPY (SELECT 1) TO '{home}/new.csv'; SELECT * FROM (SELECT 1",
    'CALL enable_profiling()',
    'EXPLAIN ANALYZE SELECT 1 AS id',
  ])('is one query and nothing else: %s', async sql => {
    const error = await refusalOf(sql.replaceAll('{home}', home))
    expect(error.code).toBe('query')
    expect(readdirSync(home).sort()).toEqual(['extracts', 'folder', 'secret.csv'])
  })

  it.each([
    "SELECT * FROM read_text('{home}/secret.csv')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_csv('../secret.csv')",
    "SELECT * FROM '../secret.csv'",
    "SELECT * FROM '{folder}/../secret.csv'",
    "SELECT * FROM read_csv('{folder}/*/../../secret.csv')",
    "SELECT * FROM glob('{home}/*')",
    "SELECT * FROM glob('/proc/self/environ')",
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM read_text(['people.csv', '{home}/secret.csv'])",
    "SELECT * FROM parquet_metadata('{home}/secret.csv')",
    "SELECT * FROM sniff_csv('{home}/secret.csv')",
    "SELECT * FROM read_json_objects('{home}/secret.csv')",
    "SELECT * FROM 'link.csv'",
    "SELECT * FROM 'linked/secret.csv'",
    "SELECT * FROM '**/*.csv'",
  ])('reads no file outside of the folder: %s', async sql => {
    symlinkSync(join(home, 'secret.csv'), join(folder, 'link.csv'))
    symlinkSync(home, join(folder, 'linked'))
    const error = await refusalOf(sql.replaceAll('{home}', home).replaceAll('{folder}', folder))
    expect(error.code).toBe('query')
    expect(error.message).toMatch(/reads only files below its folder/)
    expect(error.message).not.toContain('hush-hush')
  })

  it('does nothing where only its columns are asked for, either', async () => {
    const sql = `SELECT * FROM enable_logging(storage := 'file', storage_path := '${home}/log')`
    for (const text of [sql, `SELECT * FROM read_text('${home}/secret.csv')`]) {
      await using source = sourceHere(folder)
      expect((await errorOf(source.describe(modelOf(text), { signal }))).code).toBe('query')
    }
    expect(readdirSync(home).sort()).toEqual(['extracts', 'folder', 'secret.csv'])
  })

  it('does not learn if a file outside of the folder exists', async () => {
    const [there, missing] = [
      await refusalOf(`SELECT * FROM read_text('${home}/secret.csv')`),
      await refusalOf(`SELECT * FROM read_text('${home}/missin.csv')`),
    ]
    expect(missing.message).toBe(there.message.replaceAll('secret', 'missin'))
  })
})
