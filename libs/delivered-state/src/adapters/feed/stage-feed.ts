/**
 * Takes records of topics into temporary tables. They count only once they are merged. If the process dies
 * before, only work is lost.
 *
 * Records go to DuckDB as lines of one text for each batch, with tabs between fields, and DuckDB splits them.
 * That takes one call of the binding for each batch instead of several for each record, and runs off the main
 * thread. JSON text contains neither tabs nor line ends.
 */
import type { DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api'
import type { Captured, RetryEntry } from '@sluice/contracts/records'
import type { Row } from '@sluice/contracts/values'
import { reasonHash } from '@sluice/domain/answers/failed-group'
import type { Keyed, PlacedChange, PlacedTombstone, ReplayedRow } from '../../port.ts'
import { CHANGE_OPS, KINDS, OUTCOMES, type Shapes } from '../state/shapes.ts'
import { ENTRY_COLUMNS } from '../state/stored-rows.ts'
import { VECTOR_ROWS } from '../diff/row-slices.ts'

/** The limits of a batch. The characters are approximate, since a batch has at least one record. */
const BATCH_RECORDS = 4096
const BATCH_CHARACTERS = 1_000_000
/** Texts from this length on are measured in bytes. For shorter ones, characters are close enough. */
const LONG_CHARACTERS = 1000
/**
 * 2,048 rows of a temporary table have at most about these bytes, or the bytes of a single batch. DuckDB
 * reads so many rows at once, whatever the condition. So empty rows are put between wide ones.
 */
const VECTOR_BYTES = 16_000_000

const STAGE_TABLES = `
  CREATE OR REPLACE TEMP TABLE stage_changes (
    partition USMALLINT, key VARCHAR, op UTINYINT, run BIGINT, seq BIGINT, before_kind UTINYINT, before VARCHAR, before_shape USMALLINT,
    after VARCHAR, after_shape USMALLINT, settled_kind UTINYINT, muted VARCHAR, since BIGINT, size UINTEGER, kept UINTEGER, slice UINTEGER
  );
  CREATE OR REPLACE TEMP TABLE stage_ended (partition USMALLINT, key VARCHAR, before BIGINT);
  CREATE OR REPLACE TEMP TABLE stage_retry (${ENTRY_COLUMNS});
  CREATE OR REPLACE TEMP TABLE stage_doubts (${ENTRY_COLUMNS});
  CREATE OR REPLACE TEMP TABLE stage_captured (partition USMALLINT, key VARCHAR, content VARCHAR);
  CREATE OR REPLACE TEMP TABLE stage_replayed (key VARCHAR, removes BOOLEAN, content VARCHAR);
`

const FIELDS = '(SELECT string_split(unnest(string_split($1, chr(10))), chr(9)) AS f)'
const field = (index: number) => `nullif(f[${index}], '')`
/** SQL for a text of any content: what follows `=`, or else the text of a JSON string. */
const textField = (index: number) =>
  `CASE WHEN f[${index}] = '' THEN NULL WHEN f[${index}][1] = '=' THEN substr(f[${index}], 2) ELSE f[${index}] ->> '$' END`

const INSERT_CHANGES = `INSERT INTO stage_changes
  SELECT $2, ${textField(1)}, f[2], f[3], f[4], f[5], ${field(6)}, ${field(7)}, ${field(8)}, ${field(9)}, ${field(10)}, ${textField(11)}, f[12], f[13], f[14], f[15]
  FROM ${FIELDS}`
const INSERT_PADS = 'INSERT INTO stage_changes (partition) SELECT NULL FROM range($1)'
/** SQL for tombstones. A tombstone ends the changes of its key that were staged before it. */
const INSERT_ENDED = `INSERT INTO stage_ended SELECT $2, ${textField(1)}, (SELECT count(*) FROM stage_changes) FROM ${FIELDS}`
const insertEntries = (table: string) => `INSERT INTO ${table}
  SELECT $2, ${textField(1)}, ${field(2)}, ${field(3)}, ${field(4)}, ${field(5)}, ${field(6)}, ${field(7)}, ${field(8)} FROM ${FIELDS}`
const INSERT_RETRY = insertEntries('stage_retry')
const INSERT_DOUBTS = insertEntries('stage_doubts')
const INSERT_CAPTURED = `INSERT INTO stage_captured SELECT $2, ${textField(1)}, ${textField(2)} FROM ${FIELDS}`
const INSERT_REPLAYED = `INSERT INTO stage_replayed SELECT ${textField(1)}, f[2] = '1', ${field(3)} FROM ${FIELDS}`

/** The target of a batch. All of its records are of one partition, or of none. */
interface Insertion {
  readonly sql: string
  readonly partition: number | null
}

/**
 * The temporary tables of records that are fed and not merged yet. The records of a key have to come in the
 * order of their topic partition.
 */
export class FeedStaging {
  readonly #connection: DuckDBConnection
  readonly #shapes: Shapes
  readonly #statements = new Map<string, DuckDBPreparedStatement>()
  #inserting: Promise<void> = Promise.resolve()
  /** The size of the last staged changes, which DuckDB reads together. */
  #vector = { rows: 0, bytes: 0 }
  #isPadded = false
  #characters = 0

  private constructor(connection: DuckDBConnection, shapes: Shapes) {
    this.#connection = connection
    this.#shapes = shapes
  }

  static async open(connection: DuckDBConnection, shapes: Shapes): Promise<FeedStaging> {
    await connection.run(STAGE_TABLES)
    return new FeedStaging(connection, shapes)
  }

  async addChanges(partition: number, records: readonly (PlacedChange | PlacedTombstone)[]): Promise<void> {
    for (const { tombstones, changes } of alternating(records)) {
      await this.#addTombstones(partition, tombstones)
      await this.#addChanges(partition, changes)
    }
  }

  async #addChanges(partition: number, records: readonly PlacedChange[]): Promise<void> {
    await this.#insert({ sql: INSERT_CHANGES, partition }, records, ({ change, timestamp }, parts) => {
      const { before, after, settledState, muted } = change
      const settled = settledState === null ? '' : KINDS.indexOf(settledState)
      parts.push(`${textOf(change.key)}\t${CHANGE_OPS.indexOf(change.op)}\t${change.run}\t${change.seq}\t`)
      const sizeBefore = this.#addRow(before, `${KINDS.indexOf(change.beforeState)}\t`, parts)
      const sizeAfter = this.#addRow(after, '', parts)
      const size = change.key.length + sizeBefore + sizeAfter
      const kept = Math.max(sizeBefore, sizeAfter)
      const end = `${settled}\t${muted === null ? '' : textOf(muted)}\t${timestamp}\t${size}\t${kept}\t${change.streamed?.slice ?? 0}`
      parts.push(end)
      return size + end.length
    })
  }

  async #addTombstones(partition: number, records: readonly PlacedTombstone[]): Promise<void> {
    await this.#insert({ sql: INSERT_ENDED, partition }, records, ({ key }, parts) => {
      parts.push(textOf(key))
      return key.length
    })
  }

  /** Adds entries of the topic `retry`, or entries for changes whose outcome a run lost (`doubts`). */
  async addEntries(
    to: 'retry' | 'doubts',
    partition: number,
    records: readonly Keyed<RetryEntry>[],
  ): Promise<void> {
    const sql = to === 'retry' ? INSERT_RETRY : INSERT_DOUBTS
    await this.#insert({ sql, partition }, records, ({ key, value }, parts) => {
      const entry = value === null ? null : retriedJson(value)
      parts.push(textOf(key), '\t')
      if (value === null || entry === null) parts.push('\t\t\t\t\t\t')
      else {
        const { incarnation, run, seq, outcome, runs, status } = value
        const reason = reasonHash(value, incarnation)
        const fields = [run, seq, OUTCOMES.indexOf(outcome), runs, status ?? '', reason]
        parts.push(`${fields.join('\t')}\t`, entry)
      }
      return key.length + (entry?.length ?? 0)
    })
  }

  async addCaptured(partition: number, records: readonly Keyed<Captured>[]): Promise<void> {
    await this.#insert({ sql: INSERT_CAPTURED, partition }, records, ({ key, value }, parts) => {
      parts.push(textOf(key), '\t', value === null ? '' : textOf(value.values))
      return key.length + (value?.values.length ?? 0)
    })
  }

  async addReplayed(rows: readonly ReplayedRow[]): Promise<void> {
    await this.#insert({ sql: INSERT_REPLAYED, partition: null }, rows, ({ key, op, row }, parts) => {
      const json = row === null ? '' : this.#shapes.store(row).json
      parts.push(textOf(key), op === 'removed' ? '\t1\t' : '\t0\t', json)
      return key.length + json.length
    })
  }

  /** About the size of all added records. 0 only if there are none. */
  get characters(): number {
    return this.#characters
  }

  /** True if wide changes are staged. */
  get isWide(): boolean {
    return this.#isPadded
  }

  /** Waits until DuckDB has taken in all added records. */
  async flush(): Promise<void> {
    await this.#inserting
  }

  /** Forgets all added records. */
  async clear(): Promise<void> {
    await this.close()
    if (this.#characters > 0) await this.#connection.run(STAGE_TABLES)
    this.#characters = 0
  }

  /**
   * Waits until DuckDB is done with the added records, even after an error. The connection must stay open
   * until then, since DuckDB's binding crashes on statements of a closed connection.
   */
  async close(): Promise<void> {
    await this.#inserting.catch(() => {})
    this.#vector = { rows: 0, bytes: 0 }
    this.#isPadded = false
    this.unprepare()
  }

  /** Releases the prepared statements. DuckDB must have taken in all added records. */
  unprepare(): void {
    for (const statement of this.#statements.values()) statement.destroySync()
    this.#statements.clear()
  }

  /** Adds the fields of a row after `start`. Returns about the bytes of the row. */
  #addRow(row: Row | null, start: string, parts: string[]): number {
    if (row === null) {
      parts.push(`${start}\t\t`)
      return 0
    }
    const { json, shape } = this.#shapes.store(row)
    if (start !== '') parts.push(start)
    parts.push(json, `\t${shape}\t`)
    return json.length < LONG_CHARACTERS ? json.length : Buffer.byteLength(json)
  }

  /**
   * Writes records as lines. `addParts` adds the parts of one record, and returns their size in characters.
   * DuckDB takes in the last batch while the caller goes on. If that fails, the next call throws the error.
   */
  async #insert<T>(
    into: Insertion,
    records: readonly T[],
    addParts: (record: T, parts: string[]) => number,
  ): Promise<void> {
    let parts: string[] = []
    let lines = 0
    let characters = 0
    for (const record of records) {
      if (lines > 0) parts.push('\n')
      characters += addParts(record, parts)
      lines++
      if (lines < BATCH_RECORDS && characters < BATCH_CHARACTERS) continue
      await this.#send(into, parts, { lines, characters })
      parts = []
      lines = 0
      characters = 0
    }
    if (lines > 0) await this.#send(into, parts, { lines, characters })
  }

  async #send(
    into: Insertion,
    parts: readonly string[],
    { lines, characters }: { readonly lines: number; readonly characters: number },
  ): Promise<void> {
    const text = parts.join('')
    await this.#inserting
    this.#characters += text.length
    if (into.sql === INSERT_CHANGES) await this.#pad(lines, characters)
    this.#inserting = this.#run(into, text)
    // The next call waits for the insertion, and gets its error.
    this.#inserting.catch(() => {})
  }

  /**
   * DuckDB reads 2,048 rows together. If they would be too large with the next changes, this fills them up
   * with empty rows.
   */
  async #pad(rows: number, bytes: number): Promise<void> {
    const { rows: before, bytes: bytesBefore } = this.#vector
    const fits = bytesBefore + bytes <= VECTOR_BYTES
    const pads = fits ? 0 : VECTOR_ROWS - before
    this.#isPadded ||= !fits
    if (pads > 0) await this.#connection.run(INSERT_PADS, [pads])
    const end = (fits ? before : 0) + rows
    // A batch that goes on into the next vector may have all of its bytes there.
    this.#vector = { rows: end % VECTOR_ROWS, bytes: fits && end < VECTOR_ROWS ? bytesBefore + bytes : bytes }
  }

  async #run({ sql, partition }: Insertion, text: string): Promise<void> {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = await this.#connection.prepare(sql)
      this.#statements.set(sql, statement)
    }
    statement.bindVarchar(1, text)
    if (partition !== null) statement.bindUSmallInt(2, partition)
    await statement.run()
  }
}

function textOf(text: string): string {
  return /[\t\n]/.test(text) || text.includes('\0') || !text.isWellFormed()
    ? JSON.stringify(text.toWellFormed())
    : `=${text}`
}

/** The part of a retry entry that a later change carries, in the shape of `Retried`. */
function retriedJson(entry: RetryEntry): string {
  const { idempotencyKey, outcome, answered, requestHash, requestRows, attempts, runs, since } = entry
  return JSON.stringify({
    idempotencyKey,
    outcome,
    answered,
    requestHash,
    requestRows,
    attempts,
    runs,
    // The diff reads it from the end.
    since,
  })
}

/** Yields records in their order, as groups of tombstones and the changes after them. */
function* alternating(
  records: readonly (PlacedChange | PlacedTombstone)[],
): Generator<{ readonly tombstones: readonly PlacedTombstone[]; readonly changes: readonly PlacedChange[] }> {
  let tombstones: PlacedTombstone[] = []
  let changes: PlacedChange[] = []
  for (const record of records) {
    if (record.change !== null) changes.push(record)
    else {
      if (changes.length > 0) {
        yield { tombstones, changes }
        tombstones = []
        changes = []
      }
      tombstones.push(record)
    }
  }
  yield { tombstones, changes }
}
