/**
 * Takes stretches of topics into temporary tables, in chunks of columns. Nothing of it counts until it is merged; a process that dies before
 * loses only work.
 */
import {
  type DuckDBAppender,
  type DuckDBConnection,
  DuckDBDataChunk,
  type DuckDBType,
  DOUBLE,
  UTINYINT,
  USMALLINT,
  VARCHAR,
} from '@duckdb/node-api'
import type { Captured, RetryEntry } from '@sluice/contracts/records'
import type { Row } from '@sluice/contracts/values'
import type { Keyed, PlacedChange } from '../port.ts'
import { CHANGE_OPS, KINDS, OUTCOMES } from './codes.ts'
import { encodeRow } from './row-json.ts'
import type { Shapes } from './shapes.ts'

/** Rows of a chunk of DuckDB. */
const CHUNK_ROWS = 2048

/** Numbers travel as DOUBLE, which holds offsets, runs and seqs exactly and costs no bigint per value. */
const CHANGE_TYPES = [
  VARCHAR,
  UTINYINT,
  DOUBLE,
  DOUBLE,
  UTINYINT,
  VARCHAR,
  USMALLINT,
  VARCHAR,
  USMALLINT,
  UTINYINT,
  VARCHAR,
]
const RETRY_TYPES = [VARCHAR, DOUBLE, DOUBLE, UTINYINT, VARCHAR]
const CAPTURED_TYPES = [VARCHAR, VARCHAR]

const STAGE_TABLES = `
  CREATE OR REPLACE TEMP TABLE stage_changes (
    key VARCHAR, op UTINYINT, run DOUBLE, seq DOUBLE, before_kind UTINYINT, before VARCHAR, before_shape USMALLINT,
    after VARCHAR, after_shape USMALLINT, settled_kind UTINYINT, muted VARCHAR
  );
  CREATE OR REPLACE TEMP TABLE stage_retry (key VARCHAR, run DOUBLE, seq DOUBLE, outcome UTINYINT, entry VARCHAR);
  CREATE OR REPLACE TEMP TABLE stage_captured (key VARCHAR, content VARCHAR);
`

type Cell = string | number | null

/** The temporary tables of what is fed and not yet merged. Records of a key are to come in the order of its topic. */
export class Stage {
  readonly #connection: DuckDBConnection
  readonly #shapes: Shapes
  readonly #appenders = new Map<string, DuckDBAppender>()

  private constructor(connection: DuckDBConnection, shapes: Shapes) {
    this.#connection = connection
    this.#shapes = shapes
  }

  static async open(connection: DuckDBConnection, shapes: Shapes): Promise<Stage> {
    await connection.run(STAGE_TABLES)
    return new Stage(connection, shapes)
  }

  async addChanges(records: readonly PlacedChange[]): Promise<void> {
    await this.#append('stage_changes', CHANGE_TYPES, records, ({ change }) => [
      change.key,
      CHANGE_OPS.indexOf(change.op),
      change.run,
      change.seq,
      KINDS.indexOf(change.beforeState),
      ...this.#row(change.before),
      ...this.#row(change.after),
      change.settledState === null ? null : KINDS.indexOf(change.settledState),
      change.muted,
    ])
  }

  async addRetry(records: readonly Keyed<RetryEntry>[]): Promise<void> {
    await this.#append('stage_retry', RETRY_TYPES, records, ({ key, value }) =>
      value === null
        ? [key, null, null, null, null]
        : [key, value.run, value.seq, OUTCOMES.indexOf(value.outcome), retriedJson(value)],
    )
  }

  async addCaptured(records: readonly Keyed<Captured>[]): Promise<void> {
    await this.#append('stage_captured', CAPTURED_TYPES, records, ({ key, value }) => [
      key,
      value?.values ?? null,
    ])
  }

  /** Makes all that was added visible to SQL on the connection. */
  flush(): void {
    for (const appender of this.#appenders.values()) appender.closeSync()
    this.#appenders.clear()
  }

  /** Forgets all that was added. */
  async clear(): Promise<void> {
    this.flush()
    await this.#connection.run(STAGE_TABLES)
  }

  #row(row: Row | null): readonly [Cell, Cell] {
    return row === null ? [null, null] : [encodeRow(row), this.#shapes.idOf(row)]
  }

  async #append<T>(
    table: string,
    types: readonly DuckDBType[],
    records: readonly T[],
    cells: (record: T) => readonly Cell[],
  ): Promise<void> {
    if (records.length === 0) return
    let appender = this.#appenders.get(table)
    if (appender === undefined) {
      appender = await this.#connection.createAppender(table, 'main', 'temp')
      this.#appenders.set(table, appender)
    }
    for (let start = 0; start < records.length; start += CHUNK_ROWS) {
      const rows = records.slice(start, start + CHUNK_ROWS).map(cells)
      const chunk = DuckDBDataChunk.create(types, rows.length)
      for (let column = 0; column < types.length; column++)
        chunk.setColumnValues(
          column,
          rows.map(row => row[column] ?? null),
        )
      appender.appendDataChunk(chunk)
    }
  }
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
    since,
  })
}
