/**
 * Brings the found changes into JavaScript, in order and in chunks. A chunk is one row of DuckDB with one JSON array per column: reading
 * value by value through the binding costs several times as much.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Retried } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'
import type { Column, Row, Value } from '@sluice/contracts/values'
import type { DetectedChange } from '../port.ts'
import { KINDS } from './codes.ts'
import { EXTRACTED, type FoundChanges, placeOf, type Section } from './find-changes.ts'
import { isRead, rowReader, setMember, type ValueReader, valueReader } from './row-json.ts'
import { jsonForm } from './sql-types.ts'

/** Most rows of a chunk, and most bytes of their larger values; one row is always read. */
const CHUNK_ROWS = 4096
const CHUNK_BYTES = 16_000_000

export interface ChangeBatch {
  readonly changes: readonly DetectedChange[]
  readonly endsRetry: readonly string[]
}

/** One column of the rows in the model: how it is read. */
interface Reading {
  readonly name: string
  readonly sql: string
  /** Null where the parsed JSON is the value already. */
  readonly read: ValueReader | null
}

/** Makes the table `ordered`: the found changes with all they carry, in the order of writing (R17), by key within an op. */
export async function orderChanges(connection: DuckDBConnection): Promise<void> {
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ordered AS
    SELECT f.section, f.key, f.kind, f.muted, f.settled_kind, f.takes, f.has_entry,
      s.content AS before, if(f.is_retry, r.entry, NULL) AS retried, c.content AS captured, e.* EXCLUDE (rid)
    FROM found f LEFT JOIN ${EXTRACTED} e ON e.rid = f.rid LEFT JOIN state s ON s.rowid = f.srid
      LEFT JOIN retry r ON r.key = f.key LEFT JOIN captured c ON c.key = f.key
    ORDER BY f.section, f.key`)
}

/** Yields the ordered changes. Each step waits for DuckDB, which works on the next chunk while the caller has the last one. */
export async function* readChanges(
  connection: DuckDBConnection,
  columns: readonly Column[],
  found: FoundChanges,
): AsyncGenerator<ChangeBatch> {
  const readings = await readingsOf(connection, columns)
  const readStored = rowReader(columns)
  let start = 0
  for (const name of ['settled', 'removed', 'changed', 'added'] as const) {
    const section = found[name]
    const end = start + section.rows
    const chunks = new ChunkReader(connection, sectionColumns(name, section, readings), start, end)
    const build =
      name === 'settled' ? settledBuilder(readings, readStored) : sentBuilder(name, readings, readStored)
    for await (const chunk of chunks.read()) yield build(chunk)
    start = end
  }
}

async function readingsOf(
  connection: DuckDBConnection,
  columns: readonly Column[],
): Promise<readonly Reading[]> {
  const place = placeOf(columns)
  const checks = columns.map(column => {
    const x = place(column)
    if (column.type.kind === 'long')
      return `coalesce(min(${x}) >= -9007199254740991 AND max(${x}) <= 9007199254740991, true)`
    if (column.type.kind === 'double')
      return `coalesce(bool_and(isfinite(${x}) AND NOT (${x} = 0 AND signbit(${x}))), true)`
    return 'false'
  })
  const reader = await connection.runAndReadAll(`SELECT ${checks.join(', ')} FROM ordered`)
  const plain = reader.getRows()[0] ?? []
  return columns.map((column, index) => {
    const plainNumbers = plain[index] === true
    return {
      name: column.name,
      sql: jsonForm(column.type, place(column), plainNumbers),
      read: isRead(column.type, plainNumbers) ? null : valueReader(column.type),
    }
  })
}

/** What is read of a section, by name. JSON texts are joined as they are; everything else is written as JSON. */
function sectionColumns(
  name: Op | 'settled',
  section: Section,
  readings: readonly Reading[],
): ReadonlyMap<string, string> {
  const json = (sql: string) => `CAST(to_json(list(${sql})) AS VARCHAR)`
  const joined = (sql: string) => `'[' || string_agg(coalesce(${sql}, 'null'), ',') || ']'`
  const wanted = new Map([
    ['place', json('rowid')],
    ['key', json('key')],
    ['captured', json('captured')],
  ])
  if (section.before) wanted.set('kind', json('kind')).set('before', joined('before'))
  if (section.retried) wanted.set('retried', joined('retried'))
  if (name === 'settled')
    for (const column of ['muted', 'settled_kind', 'takes', 'has_entry']) wanted.set(column, json(column))
  if (name !== 'removed')
    for (const [index, { sql }] of readings.entries()) wanted.set(`value ${index}`, json(sql))
  return wanted
}

/** Rows of a chunk by column; a column that is not read is missing. */
interface Chunk {
  readonly rows: number
  column(name: string): readonly unknown[] | null
}

class ChunkReader {
  readonly #connection: DuckDBConnection
  readonly #columns: ReadonlyMap<string, string>
  readonly #sizes: string
  readonly #end: number
  #next: number
  #rows = CHUNK_ROWS

  constructor(
    connection: DuckDBConnection,
    columns: ReadonlyMap<string, string>,
    start: number,
    end: number,
  ) {
    this.#connection = connection
    this.#columns = columns
    this.#sizes = `coalesce(strlen(before), 0)`
    this.#next = start
    this.#end = end
  }

  async *read(): AsyncGenerator<Chunk> {
    let ahead = this.#fetch()
    try {
      for (;;) {
        const chunk = await ahead
        if (chunk === null) return
        ahead = this.#fetch()
        yield chunk
      }
    } finally {
      // The connection takes one query at a time: whoever stops early still waits for the one under way.
      await ahead.catch(() => {})
    }
  }

  async #fetch(): Promise<Chunk | null> {
    const start = this.#next
    if (start >= this.#end) return null
    const end = Math.min(start + this.#rows, this.#end)
    this.#next = end
    const selected = [...this.#columns.values()].join(', ')
    const result = await this.#connection.run(
      `SELECT ${selected} FROM ordered WHERE rowid >= ${start} AND rowid < ${end}`,
    )
    const data = await result.fetchChunk()
    const names = [...this.#columns.keys()]
    const arrays = new Map<string, readonly unknown[]>()
    for (const [index, name] of names.entries()) {
      const text = data?.getColumnVector(index).getItem(0)
      arrays.set(name, JSON.parse(String(text)) as readonly unknown[])
    }
    return inOrder(end - start, arrays)
  }
}

/** An aggregate may see rows out of order, but all aggregates of a query see them in the same. */
function inOrder(rows: number, arrays: ReadonlyMap<string, readonly unknown[]>): Chunk {
  const places = arrays.get('place') ?? []
  if (places.length !== rows) throw new Error(`read ${places.length} changes instead of ${rows}`)
  if (places.every((place, i) => i === 0 || Number(place) > Number(places[i - 1])))
    return { rows, column: name => arrays.get(name) ?? null }
  const order = places.map((_, i) => i).sort((a, b) => Number(places[a]) - Number(places[b]))
  return { rows, column: name => arrays.get(name)?.map((_, i, array) => array[order[i] ?? 0]) ?? null }
}

/** Makes rows of the model out of a chunk. */
function modelRows(chunk: Chunk, readings: readonly Reading[]): (index: number) => Row {
  const columns = readings.map(({ name, read }, index) => {
    const values = chunk.column(`value ${index}`) ?? []
    return { name, values: (read === null ? values : values.map(read)) as readonly Value[] }
  })
  return index => {
    const row: { [name: string]: Value } = {}
    for (const { name, values } of columns) setMember(row, name, values[index] ?? null)
    return row
  }
}

const text = (json: unknown): string | null => (typeof json === 'string' ? json : null)

/** What all changes have. */
function common(chunk: Chunk, readStored: (json: unknown) => Row | null, index: number) {
  return {
    key: String(chunk.column('key')?.[index]),
    before: readStored(chunk.column('before')?.[index]),
    beforeState: KINDS[Number(chunk.column('kind')?.[index] ?? 0)] ?? 'absent',
    captured: text(chunk.column('captured')?.[index]),
    retried: (chunk.column('retried')?.[index] ?? null) as Retried | null,
  }
}

function sentBuilder(
  op: Op,
  readings: readonly Reading[],
  readStored: (json: unknown) => Row | null,
): (chunk: Chunk) => ChangeBatch {
  return chunk => {
    const rowAt = op === 'removed' ? () => null : modelRows(chunk, readings)
    const changes: DetectedChange[] = []
    for (let i = 0; i < chunk.rows; i++) {
      const { key, before, beforeState, captured, retried } = common(chunk, readStored, i)
      changes.push({
        op,
        key,
        before,
        beforeState,
        after: rowAt(i),
        settledState: null,
        muted: null,
        captured,
        retried,
      })
    }
    return { changes, endsRetry: [] }
  }
}

function settledBuilder(
  readings: readonly Reading[],
  readStored: (json: unknown) => Row | null,
): (chunk: Chunk) => ChangeBatch {
  return chunk => {
    const rowAt = modelRows(chunk, readings)
    const changes: DetectedChange[] = []
    const endsRetry: string[] = []
    for (let i = 0; i < chunk.rows; i++) {
      const { key, before, beforeState, captured } = common(chunk, readStored, i)
      const takes = chunk.column('takes')?.[i]
      changes.push({
        op: 'settled',
        key,
        before,
        beforeState,
        after: takes === 'model' ? rowAt(i) : takes === 'state' ? before : null,
        settledState: KINDS[Number(chunk.column('settled_kind')?.[i])] ?? 'absent',
        muted: text(chunk.column('muted')?.[i]),
        captured,
        retried: null,
      })
      if (chunk.column('has_entry')?.[i] === true) endsRetry.push(key)
    }
    return { changes, endsRetry }
  }
}
