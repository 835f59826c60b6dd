/** Reads an extract in the order of its keys. DuckDB sorts it, in files beside it if need be. */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { rmSync, statSync } from 'node:fs'
import { SluiceError } from '@sluice/contracts/errors'
import type { InvalidSample } from '@sluice/contracts/records'
import { type Column, type Row, type Value, WHY_INVALID } from '@sluice/contracts/values'
import { canonicalText, jsonForm, keySql, quoteIdentifier, quoteText } from '@sluice/domain/canonical-sql'
import { KEY_CEILING_BYTES, ROW_CEILING_BYTES } from '@sluice/domain/record-sizes'
import { setMember, valueReader } from '@sluice/domain/value-reader'
import type { ExtractedRow, ExtractRows, ExtractRowsOptions } from '../extract-port.ts'
import { asBytes, textOfBytes } from './sql/duckdb-text.ts'
import { rowsOf } from './sql/rows-of.ts'

const PAGE_ROWS = 5_000
/** The JSON of a page has about this many bytes at most. A page has at least one row. */
const PAGE_BYTES = 8_000_000
const KEYS_ROWS = 50_000
const SAMPLES = 10
/** Why a row is invalid whose key other rows have, too. */
const TWICE = 'twice'
/**
 * About so many times its memory DuckDB sorts at once, measured with 32 to 96 MB: it takes in 2.8 times as
 * much, and fails with 5.6 times as much.
 */
const SORTED_PER_BYTE = 2
/** The keys that tell how to cut a larger extract into parts. */
const SAMPLED_KEYS = 10_000

/** Opens the extract and sorts it. Rejects with the signal's reason if it aborts. */
export async function openExtractRows(
  options: ExtractRowsOptions & { readonly memoryLimit: string },
): Promise<ExtractRows> {
  const { file, columns, primaryKey, memoryLimit, signal } = options
  const keyColumns = primaryKey.map(name => keyColumn(name, columns))
  const temporary = `${file}.sorting`
  const instance = await DuckDBInstance.create(':memory:', {
    ...{ memory_limit: memoryLimit, threads: '1', temp_directory: temporary },
    ...{ autoinstall_known_extensions: 'false', autoload_known_extensions: 'false' },
    ...{ allow_community_extensions: 'false', preserve_insertion_order: 'true' },
  })
  const connection = await instance.connect()
  const interrupt = (): void => connection.interrupt()
  const close = (): Promise<void> => {
    signal.removeEventListener('abort', interrupt)
    connection.closeSync()
    instance.closeSync()
    rmSync(temporary, { recursive: true, force: true })
    return Promise.resolve()
  }
  signal.addEventListener('abort', interrupt, { once: true })
  try {
    await connection.run(
      `SET TimeZone = 'UTC'; ATTACH ${quoteText(file)} AS extract (TYPE duckdb, READ_ONLY)`,
    )
    const bytes = SORTED_PER_BYTE * Number.parseInt(memoryLimit, 10) * 1_000_000
    await sort(connection, { columns, keyColumns, parts: Math.ceil(statSync(file).size / bytes) })
    const found = await count(connection, primaryKey)
    return {
      ...found,
      keys: () => keysOf(connection, signal),
      rows: () => rowsIn(connection, { columns, signal }),
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    signal.throwIfAborted()
    throw error
  }
}

function keyColumn(name: string, columns: readonly Column[]): Column {
  const column = columns.find(each => each.name === name)
  if (column !== undefined) return column
  const names = columns.map(each => each.name).join(', ')
  throw new SluiceError('config', `The primary key column "${name}" is not one of the columns: ${names}.`)
}

/**
 * Makes the table `sorted`: key, why the row is invalid, and the values of the row as a JSON list. It sorts
 * one part after the other, each with the keys of a range.
 */
async function sort(
  connection: DuckDBConnection,
  {
    columns,
    keyColumns,
    parts,
  }: { readonly columns: readonly Column[]; readonly keyColumns: readonly Column[]; readonly parts: number },
): Promise<void> {
  const place = ({ name }: Column): string => quoteIdentifier(name)
  const result = await connection.run('FROM extract.main.rows LIMIT 0')
  const why = result.columnNames().includes(WHY_INVALID) ? quoteIdentifier(WHY_INVALID) : 'NULL::VARCHAR'
  const texts = keyColumns.map(column => canonicalText(column.type, place(column)))
  const isNull = keyColumns.map(column => `${place(column)} IS NULL`).join(' OR ')
  const key = `CASE WHEN ${isNull} THEN NULL ELSE ${keySql(texts)} END`
  const values = columns.map(column => `to_json(${jsonForm(column.type, place(column))})`)
  // Rows of one key are neighbours, and of one part. So DuckDB compares them as they come out of the sort.
  const sortedSql = (range: string): string => `
    SELECT key, row_json, CASE
        WHEN key IS NULL THEN 'its primary key is null'
        WHEN strlen(key) > ${KEY_CEILING_BYTES} THEN 'its primary key is too long'
        WHEN is_twice THEN '${TWICE}'
        WHEN strlen(row_json) > ${ROW_CEILING_BYTES} THEN 'the row has more than ${ROW_CEILING_BYTES} bytes'
        ELSE why END AS why
    FROM (SELECT *, key IS NOT DISTINCT FROM lag(key) OVER () OR key IS NOT DISTINCT FROM lead(key) OVER () AS is_twice FROM (
      SELECT key, why, CAST(json_array(${values.join(', ')}) AS VARCHAR) AS row_json
      FROM (SELECT *, ${key} AS key, ${why} AS why FROM extract.main.rows) WHERE ${range}
      ORDER BY key NULLS FIRST))`
  let verb = 'CREATE TEMP TABLE sorted AS'
  for (const range of parts <= 1 ? ['true'] : await keyRanges(connection, key, parts)) {
    await connection.run(`${verb} ${sortedSql(range)}`)
    verb = 'INSERT INTO sorted'
  }
  await connection.run('DETACH extract')
}

/**
 * Returns SQL for about as many ranges of keys, in order, with about as many rows each. Null is in the first.
 */
async function keyRanges(
  connection: DuckDBConnection,
  key: string,
  parts: number,
): Promise<readonly string[]> {
  const [rows] = await rowsOf(connection, 'SELECT count(*) FROM extract.main.rows')
  const step = Math.ceil(Number(rows?.[0]) / SAMPLED_KEYS)
  await connection.run(`
    CREATE TEMP TABLE bounds AS SELECT part, min(key) AS key FROM (
      SELECT key, ntile(${parts}) OVER (ORDER BY key) AS part
      FROM (SELECT ${key} AS key FROM extract.main.rows WHERE rowid % ${step} = 0) WHERE key IS NOT NULL
    ) GROUP BY part`)
  const [bounds] = await rowsOf(connection, 'SELECT count(*) FROM bounds')
  const known = Math.max(1, Number(bounds?.[0]))
  const bound = (part: number): string => `(SELECT key FROM bounds WHERE part = ${part})`
  return Array.from({ length: known }, (_, index) => {
    const from = index === 0 ? [] : [`key >= ${bound(index + 1)}`]
    const to = index === known - 1 ? [] : [`key < ${bound(index + 2)}`]
    const isWithin = [...from, ...to].join(' AND ') || 'true'
    return index === 0 ? `(key IS NULL OR ${isWithin})` : isWithin
  })
}

async function count(
  connection: DuckDBConnection,
  primaryKey: readonly string[],
): Promise<Pick<ExtractRows, 'rowsRead' | 'rowsInvalid' | 'invalidSamples'>> {
  const [counted] = await rowsOf(connection, 'SELECT count(*), count(why) FROM sorted')
  const samples = await rowsOf(
    connection,
    `SELECT ${asBytes('any_value(key)')}, ${asBytes(`if(any_value(why) = '${TWICE}', count(*) || ' rows have this primary key', any_value(why))`)}
      FROM sorted WHERE why IS NOT NULL
      GROUP BY coalesce(key, ''), key IS NULL ORDER BY 1 LIMIT ${SAMPLES}`,
  )
  const invalidSamples = samples.map(([key, why]): InvalidSample => {
    const text = textOfBytes(key)
    const reason = text === null ? `primary key ${primaryKey.join(', ')} is null` : (textOfBytes(why) ?? '')
    return { key: text, reason }
  })
  return { rowsRead: Number(counted?.[0]), rowsInvalid: Number(counted?.[1]), invalidSamples }
}

async function* keysOf(connection: DuckDBConnection, signal: AbortSignal): AsyncGenerator<readonly string[]> {
  const [counted] = await rowsOf(connection, 'SELECT count(*) FROM sorted')
  const end = Number(counted?.[0])
  for (let from = 0; from < end; from += KEYS_ROWS) {
    signal.throwIfAborted()
    const page = await rowsOf(
      connection,
      `SELECT DISTINCT ON (key) ${asBytes('key')} FROM sorted
        WHERE rowid >= ${from} AND rowid < ${from + KEYS_ROWS} AND key IS NOT NULL ORDER BY key`,
    )
    yield page.map(([key]) => textOfBytes(key) ?? '')
  }
}

async function* rowsIn(
  connection: DuckDBConnection,
  { columns, signal }: { readonly columns: readonly Column[]; readonly signal: AbortSignal },
): AsyncGenerator<readonly ExtractedRow[]> {
  const read = rowReader(columns)
  const [counted] = await rowsOf(connection, 'SELECT count(*) FROM sorted')
  const end = Number(counted?.[0])
  for (let from = 0; from < end;) {
    signal.throwIfAborted()
    const to = Math.min(end, from + (await pageRows(connection, from)))
    const page = await rowsOf(
      connection,
      `SELECT ${asBytes('key')}, CASE WHEN why IS NULL THEN ${asBytes('row_json')} END
        FROM sorted WHERE rowid >= ${from} AND rowid < ${to} AND key IS NOT NULL ORDER BY rowid`,
    )
    yield page.map(([key, json]) => {
      const text = json === undefined ? null : textOfBytes(json)
      return { key: textOfBytes(key) ?? '', row: text === null ? null : read(text) }
    })
    from = to
  }
}

/** Returns how many rows from here on make a page. */
async function pageRows(connection: DuckDBConnection, from: number): Promise<number> {
  const [sized] = await rowsOf(
    connection,
    `SELECT count(*) FROM (SELECT sum(strlen(row_json)) OVER (ORDER BY rowid) AS bytes FROM sorted
      WHERE rowid >= ${from} AND rowid < ${from + PAGE_ROWS}) WHERE bytes <= ${PAGE_BYTES}`,
  )
  return Math.max(1, Number(sized?.[0]))
}

function rowReader(columns: readonly Column[]): (json: string) => Row {
  const readers = columns.map(({ name, type }) => ({ name, read: valueReader(type) }))
  return json => {
    const values: unknown = JSON.parse(json)
    const row: { [name: string]: Value } = {}
    for (const [index, { name, read }] of readers.entries())
      setMember(row, name, Array.isArray(values) ? read(values[index]) : null)
    return row
  }
}
