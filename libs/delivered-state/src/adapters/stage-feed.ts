/**
 * Takes stretches of topics into temporary tables. Nothing of it counts until it is merged; a process that dies before loses only work.
 *
 * Records go to DuckDB as lines of one text per batch, fields parted by tabs, and are taken apart there: one call of the binding per batch
 * instead of several per record, and off the main thread. JSON text holds neither tabs nor line ends.
 */
import type { DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api'
import type { Captured, RetryEntry } from '@sluice/contracts/records'
import type { Row } from '@sluice/contracts/values'
import type { Keyed, PlacedChange } from '../port.ts'
import { CHANGE_OPS, KINDS, OUTCOMES } from './codes.ts'
import type { Shapes } from './shapes.ts'

/** Most records of a batch, and about how many characters it holds; one record is always taken. */
const BATCH_RECORDS = 8192
const BATCH_CHARACTERS = 4_000_000

const STAGE_TABLES = `
  CREATE OR REPLACE TEMP TABLE stage_changes (
    key VARCHAR, op UTINYINT, run BIGINT, seq BIGINT, before_kind UTINYINT, before VARCHAR, before_shape USMALLINT,
    after VARCHAR, after_shape USMALLINT, settled_kind UTINYINT, muted VARCHAR
  );
  CREATE OR REPLACE TEMP TABLE stage_retry (key VARCHAR, run BIGINT, seq BIGINT, outcome UTINYINT, entry VARCHAR);
  CREATE OR REPLACE TEMP TABLE stage_captured (key VARCHAR, content VARCHAR);
`

const FIELDS = '(SELECT string_split(unnest(string_split($1, chr(10))), chr(9)) AS f)'
const field = (index: number) => `nullif(f[${index}], '')`
/** A text of any content: after \`=\` as it stands, else as JSON. */
const textField = (index: number) =>
  `CASE WHEN f[${index}] = '' THEN NULL WHEN f[${index}][1] = '=' THEN substr(f[${index}], 2) ELSE f[${index}] ->> '$' END`

const INSERT_CHANGES = `INSERT INTO stage_changes
  SELECT ${textField(1)}, f[2], f[3], f[4], f[5], ${field(6)}, ${field(7)}, ${field(8)}, ${field(9)}, ${field(10)}, ${textField(11)}
  FROM ${FIELDS}`
const INSERT_RETRY = `INSERT INTO stage_retry
  SELECT ${textField(1)}, ${field(2)}, ${field(3)}, ${field(4)}, ${field(5)} FROM ${FIELDS}`
const INSERT_CAPTURED = `INSERT INTO stage_captured SELECT ${textField(1)}, ${textField(2)} FROM ${FIELDS}`

/** The temporary tables of what is fed and not yet merged. Records of a key are to come in the order of their topic. */
export class Stage {
  readonly #connection: DuckDBConnection
  readonly #shapes: Shapes
  readonly #statements = new Map<string, DuckDBPreparedStatement>()

  private constructor(connection: DuckDBConnection, shapes: Shapes) {
    this.#connection = connection
    this.#shapes = shapes
  }

  static async open(connection: DuckDBConnection, shapes: Shapes): Promise<Stage> {
    await connection.run(STAGE_TABLES)
    return new Stage(connection, shapes)
  }

  async addChanges(records: readonly PlacedChange[]): Promise<void> {
    await this.#insert(INSERT_CHANGES, records, record => this.#changeLine(record))
  }

  async addRetry(records: readonly Keyed<RetryEntry>[]): Promise<void> {
    await this.#insert(INSERT_RETRY, records, ({ key, value }) =>
      value === null
        ? `${textOf(key)}\t\t\t\t`
        : `${textOf(key)}\t${value.run}\t${value.seq}\t${OUTCOMES.indexOf(value.outcome)}\t${retriedJson(value)}`,
    )
  }

  async addCaptured(records: readonly Keyed<Captured>[]): Promise<void> {
    await this.#insert(INSERT_CAPTURED, records, ({ key, value }) =>
      value === null ? `${textOf(key)}\t` : `${textOf(key)}\t${textOf(value.values)}`,
    )
  }

  /** Forgets all that was added. */
  async clear(): Promise<void> {
    for (const statement of this.#statements.values()) statement.destroySync()
    this.#statements.clear()
    await this.#connection.run(STAGE_TABLES)
  }

  #changeLine({ change }: PlacedChange): string {
    const { before, after, settledState, muted } = change
    const settled = settledState === null ? '' : KINDS.indexOf(settledState)
    const start = `${textOf(change.key)}\t${CHANGE_OPS.indexOf(change.op)}\t${change.run}\t${change.seq}`
    return `${start}\t${KINDS.indexOf(change.beforeState)}\t${this.#rowFields(before)}\t${this.#rowFields(after)}\t${settled}\t${muted === null ? '' : textOf(muted)}`
  }

  #rowFields(row: Row | null): string {
    if (row === null) return '\t'
    const { json, shape } = this.#shapes.store(row)
    return `${json}\t${shape}`
  }

  /** While DuckDB takes in one batch, the next is written. */
  async #insert<T>(sql: string, records: readonly T[], line: (record: T) => string): Promise<void> {
    let inserting: Promise<unknown> = Promise.resolve()
    for (let at = 0; at < records.length;) {
      const lines: string[] = []
      let characters = 0
      while (at < records.length && lines.length < BATCH_RECORDS && characters < BATCH_CHARACTERS) {
        const record = records[at++]
        if (record === undefined) continue
        const text = line(record)
        characters += text.length
        lines.push(text)
      }
      const text = lines.join('\n')
      await inserting
      inserting = this.#run(sql, text)
      inserting.catch(() => {})
    }
    await inserting
  }

  async #run(sql: string, text: string): Promise<void> {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = await this.#connection.prepare(sql)
      this.#statements.set(sql, statement)
    }
    statement.bindVarchar(1, text)
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
    since,
  })
}
