/**
 * Reads the found changes into JavaScript, in order. It takes them piece by piece (order-changes.ts), and
 * each piece in chunks.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { Retried } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'
import { type Column, JsonText, type Row, type Value } from '@sluice/contracts/values'
import { canonicalText, jsonForm } from '@sluice/domain/canonical-sql'
import { setMember, valueReader } from '@sluice/domain/value-reader'
import type { ChangeBatch, DetectedChange, EndedKey, NewRows } from '../../port.ts'
import { cutPieces, evenPieces } from './cut-pieces.ts'
import {
  type ColumnChunk,
  type ColumnReading,
  type Range,
  readAhead,
  readColumns,
  type Reading,
} from './chunk-columns.ts'
import { KINDS } from '../state/shapes.ts'
import { type FoundChanges, placeOf, type Section } from './find-changes.ts'
import { rowBytes } from './model-rows.ts'
import { gatherStored, PIECE, type PieceTable, pieceTables, takePiece } from './order-changes.ts'
import { newRowReadings, NewRowsReader } from './read-new-rows.ts'
import { tableSlices } from './row-slices.ts'
import { storedRowReader } from '../sql/row-json.ts'
import { rowsOf } from '../sql/rows-of.ts'

/** The limits of a chunk: rows, and about the bytes of its texts. A chunk has at least one row. */
const CHUNK_ROWS = 4096
const CHUNK_BYTES = 8_000_000
/** Sizes are known for slabs of this many rows. */
const SLAB_ROWS = 512

/**
 * Yields the ordered changes. DuckDB works on the next chunk while the caller has the last one. With
 * `byColumn`, rows that are new to the state come by column where possible.
 */
export async function* readChanges(
  connection: DuckDBConnection,
  columns: readonly Column[],
  options: { readonly found: FoundChanges; readonly pieceRows: number; readonly byColumn: boolean },
): AsyncGenerator<ChangeBatch | NewRows> {
  const { found, pieceRows, byColumn } = options
  const { isSmall } = found
  const readStored = storedReader(columns)
  const sections: readonly SectionPlan[] = (['settled', 'removed', 'changed', 'added'] as const).map(
    name => ({
      section: found[name],
      wanted: readings => wantedColumns(name, found[name], readings, readStored),
      build: name === 'settled' ? settledBuilder(columns) : sentBuilder(name, columns),
    }),
  )
  const rows = sections.reduce((sum, { section }) => sum + section.rows, 0)
  const tables = pieceTables(columns)
  const place = placeOf(columns)
  const stored = isSmall ? [] : (await tableSlices(connection, { table: 'stored', size: 'size' })).slices
  const joined = {
    tables,
    place,
    key: found.key,
    retried: sections.some(({ section }) => section.retried),
    captured: sections.some(({ section }) => section.captured),
    slices: { extract: found.slices, state: stored.length > 1 ? stored : null },
    gathered: !isSmall && (await gatherStored(connection, stored.length > 1)),
    isSmall,
  }
  const { gathered } = joined
  const measured = { rows, pieceRows, columns: columns.length, sized: found.sized, gathered }
  // Narrow rows without captured values are plain: a piece of them has few bytes, and nothing is joined.
  const isPlain = byColumn && found.slices === null && !found.added.captured && tables.length === 1
  const readings = isPlain ? newRowReadings(columns, { place, key: found.key }) : null
  const newRows = readings === null ? null : new NewRowsReader(connection, { readings, isSmall })
  const pieces = isSmall ? evenPieces(rows, pieceRows) : await cutPieces(connection, measured)
  for (const piece of pieces) {
    const range = newRows === null ? null : await newRows.rowsOf(piece)
    if (newRows !== null && range !== null) {
      for await (const added of newRows.read(range)) yield { newRows: added }
      continue
    }
    const from = piece.start
    await takePiece(connection, piece, joined)
    const values: ColumnReading[] = []
    for (const table of tables) values.push(...(await readingsOf(connection, table, place)))
    const slabs = isSmall ? [] : await slabSizes(connection, tables, place)
    let start = -from
    for (const { section, wanted, build } of sections) {
      const end = start + section.rows
      const chunks = chunksOf(Math.max(start, 0), Math.min(end, piece.end - from), slabs)
      const columnsOf = wanted(values)
      for await (const chunk of readAhead(chunks, range => readColumns(connection, range, columnsOf)))
        yield build(chunk)
      start = end
    }
  }
}

/** Yields the batches of changes. Throws `internal` if rows come by column. */
export async function* asChanges(batches: AsyncIterable<ChangeBatch | NewRows>): AsyncGenerator<ChangeBatch> {
  for await (const batch of batches) {
    if (!('changes' in batch)) throw new SluiceError('internal', 'rows came by column, and nobody asked')
    yield batch
  }
}

/** How to read the changes of a section, once the readings of a piece's columns are known. */
interface SectionPlan {
  readonly section: Section
  readonly wanted: (readings: readonly ColumnReading[]) => ReadonlyMap<string, ColumnReading>
  readonly build: (chunk: ColumnChunk) => ChangeBatch
}

/** Returns the reading of each column: as numbers if a DOUBLE has all values exactly, otherwise as texts. */
async function readingsOf(
  connection: DuckDBConnection,
  { name, columns }: PieceTable,
  place: (column: Column) => string,
): Promise<readonly ColumnReading[]> {
  const checks = columns.map(column => {
    const x = place(column)
    if (column.type.kind === 'long')
      return `coalesce(min(${x}) >= -9007199254740991 AND max(${x}) <= 9007199254740991, true)`
    if (column.type.kind === 'double')
      return `coalesce(bool_and(isfinite(${x}) AND NOT (${x} = 0 AND signbit(${x}))), true)`
    return 'false'
  })
  // The count makes the query an aggregate of one row, even if no column needs a check.
  const result = await rowsOf(connection, `SELECT ${checks.join(', ')}, count(*) FROM ${name}`)
  const plain = result[0] ?? []
  return columns.map((column, index) => ({
    ...readingOf(column, place(column), plain[index] === true),
    table: name,
  }))
}

function readingOf({ type }: Column, x: string, isPlain: boolean): Reading {
  switch (type.kind) {
    case 'boolean':
      return { form: 'number', sql: `CAST(${x} AS UTINYINT)`, read: number => number === 1 }
    case 'integer':
      return { form: 'number', sql: x, read: null }
    case 'list':
    case 'struct': {
      const read = valueReader(type)
      return {
        form: 'text',
        sql: `CAST(to_json(${jsonForm(type, x)}) AS VARCHAR)`,
        read: text => read(JSON.parse(text)),
      }
    }
    case 'bytes':
      return { form: 'text', sql: `to_base64(${x})`, read: valueReader(type) }
    case 'long':
    case 'double':
    case 'float':
    case 'decimal': {
      const isExact = isPlain || (type.kind === 'decimal' && type.scale === 0 && type.precision <= 15)
      if (isExact) return { form: 'number', sql: x, read: null }
      return { form: 'text', sql: canonicalText(type, x), read: valueReader(type) }
    }
    case 'json':
      return { form: 'text', sql: canonicalText(type, x), read: text => new JsonText(text) }
    default:
      return { form: 'text', sql: canonicalText(type, x), read: null }
  }
}

/** Makes a reader of stored rows, which are JSON, with the present columns of the model. */
function storedReader(columns: readonly Column[]): (text: string) => Value {
  const read = storedRowReader(columns)
  return text => read(JSON.parse(text))
}

/** Returns the columns to read for a section, by name: only those that its changes can have. */
function wantedColumns(
  name: Op | 'settled',
  section: Section,
  readings: readonly ColumnReading[],
  readStored: (text: string) => Value,
): ReadonlyMap<string, ColumnReading> {
  const text = (sql: string): ColumnReading => ({ form: 'text', sql, read: null, table: PIECE })
  const number = (sql: string): ColumnReading => ({ form: 'number', sql, read: null, table: PIECE })
  const wanted = new Map([['key', text('key')]])
  if (section.known) wanted.set('partition', number('partition'))
  if (section.captured) wanted.set('captured', text('captured'))
  if (section.before)
    wanted
      .set('kind', number('kind'))
      .set('before', { form: 'text', sql: 'before', read: readStored, table: PIECE })
  if (section.retried) wanted.set('retried', text('retried'))
  if (name === 'settled')
    wanted
      .set('muted', text('muted'))
      .set('settled_kind', number('settled_kind'))
      .set('takes', text('takes'))
      .set('has_entry', number('CAST(has_entry AS UTINYINT)'))
  if (name !== 'removed')
    for (const [index, reading] of readings.entries()) wanted.set(`value ${index}`, reading)
  return wanted
}

/** Returns the average bytes of the larger values of a row, by slab. */
async function slabSizes(
  connection: DuckDBConnection,
  tables: readonly PieceTable[],
  place: (column: Column) => string,
): Promise<readonly number[]> {
  const slabs: number[] = []
  const add = async (table: string, size: string): Promise<void> => {
    const result = await rowsOf(
      connection,
      `SELECT avg(${size}) FROM ${table} GROUP BY rowid // ${SLAB_ROWS} ORDER BY rowid // ${SLAB_ROWS}`,
    )
    for (const [index, [bytes]] of result.entries()) slabs[index] = (slabs[index] ?? 0) + Number(bytes)
  }
  await add(PIECE, 'strlen(key) + coalesce(strlen(before), 0)')
  for (const { name, columns } of tables) {
    const size = rowBytes(columns, place)
    if (size !== '0') await add(name, size)
  }
  return slabs
}

/** Cuts a section into chunks of limited rows and bytes. */
function* chunksOf(start: number, end: number, slabs: readonly number[]): Generator<Range> {
  for (let from = start; from < end;) {
    let to = from
    let bytes = 0
    while (to < end && to - from < CHUNK_ROWS) {
      const slab = Math.floor(to / SLAB_ROWS)
      const perRow = slabs[slab] ?? 0
      const fits = Math.max(1, Math.floor((CHUNK_BYTES - bytes) / Math.max(perRow, 1)))
      const next = Math.min((slab + 1) * SLAB_ROWS, end, from + CHUNK_ROWS, to + fits)
      bytes += (next - to) * perRow
      to = next
      if (bytes >= CHUNK_BYTES / 2) break
    }
    yield { start: from, end: to }
    from = to
  }
}

/** Makes rows of the model out of a chunk. */
function modelRows(chunk: ColumnChunk, columns: readonly Column[]): (index: number) => Row {
  const filled = columns.map(({ name }, index) => ({ name, values: chunk.column(`value ${index}`) ?? [] }))
  return index => {
    const row: { [name: string]: Value } = {}
    for (const { name, values } of filled) setMember(row, name, values[index] ?? null)
    return row
  }
}

/** Returns a reader of the fields that all changes have. Columns that were not read contain only nulls. */
function commonOf(chunk: ColumnChunk) {
  const [keys, partitions, kinds, befores, captured, retried] = [
    'key',
    'partition',
    'kind',
    'before',
    'captured',
    'retried',
  ].map(name => chunk.column(name))
  return (index: number) => ({
    key: textOf(keys?.[index]) ?? '',
    partition: numberOf(partitions?.[index]),
    before: (befores?.[index] ?? null) as Row | null,
    beforeState: KINDS[Number(kinds?.[index] ?? 0)] ?? 'absent',
    captured: textOf(captured?.[index]),
    retried: retriedOf(retried?.[index]),
  })
}

function textOf(value: Value | undefined): string | null {
  return typeof value === 'string' ? value : null
}

function numberOf(value: Value | undefined): number | null {
  return typeof value === 'number' ? value : null
}

function retriedOf(value: Value | undefined): Retried | null {
  return typeof value === 'string' ? (JSON.parse(value) as Retried) : null
}

function sentBuilder(op: Op, columns: readonly Column[]): (chunk: ColumnChunk) => ChangeBatch {
  return chunk => {
    const common = commonOf(chunk)
    const rowAt = op === 'removed' ? () => null : modelRows(chunk, columns)
    const changes: DetectedChange[] = []
    for (let i = 0; i < chunk.rows; i++) {
      const { key, partition, before, beforeState, captured, retried } = common(i)
      const after = rowAt(i)
      changes.push({
        op,
        key,
        partition,
        before,
        beforeState,
        after,
        settledState: null,
        muted: null,
        captured,
        retried,
      })
    }
    return { changes, endsRetry: [] }
  }
}

function settledBuilder(columns: readonly Column[]): (chunk: ColumnChunk) => ChangeBatch {
  return chunk => {
    const common = commonOf(chunk)
    const rowAt = modelRows(chunk, columns)
    const [muted, kinds, takes, entries] = ['muted', 'settled_kind', 'takes', 'has_entry'].map(name =>
      chunk.column(name),
    )
    const changes: DetectedChange[] = []
    const endsRetry: EndedKey[] = []
    for (let i = 0; i < chunk.rows; i++) {
      const { key, partition, before, beforeState, captured } = common(i)
      changes.push({
        op: 'settled',
        key,
        partition,
        before,
        beforeState,
        after: takes?.[i] === 'model' ? rowAt(i) : takes?.[i] === 'state' ? before : null,
        settledState: KINDS[Number(kinds?.[i])] ?? 'absent',
        muted: textOf(muted?.[i]),
        captured,
        retried: null,
      })
      if (entries?.[i] === 1 && partition !== null) endsRetry.push({ partition, key })
    }
    return { changes, endsRetry }
  }
}
