/**
 * Runs a model's `sql` over changes, slice by slice. One instance of DuckDB stays open for it, so that a
 * slice costs no more than its rows. Values go in as texts and are read by the SQL of an extract, so that a
 * change and the same row of a comparison give equal rows.
 */
import { tmpdir } from 'node:os'
import type { DuckDBPreparedStatement } from '@duckdb/node-api'
import { isSluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { type Column, type Row, type Value, WHY_INVALID } from '@sluice/contracts/values'
import { jsonForm, sqlTypeOf } from '@sluice/domain/canonical-sql'
import { membersOf, setMember, valueReader } from '@sluice/domain/value-reader'
import { duckdbMessage } from '../duckdb/errors.ts'
import { DuckdbSession } from '../duckdb/session.ts'
import { type CarriedColumn, quoteIdentifier } from '../duckdb/types.ts'
import {
  carriedBy,
  CHANGES,
  failed,
  type ReadColumns,
  columnsRead,
  rowByRow,
} from '../kafka/select-changes.ts'

const MEMORY_LIMIT = '128MB'
/** The column of `changes` that tells the rows of a slice apart. */
const PLACE = 'sluice: place in the slice'

/** A column of `changes`, and SQL that makes its value of a text. */
export interface ChangesColumn extends Column {
  readonly value: (text: string) => string
}

export class ChangesQuery implements AsyncDisposable {
  readonly #model: ModelSpec
  readonly #session: DuckdbSession
  readonly #prepared: DuckDBPreparedStatement
  readonly #read: (json: unknown) => Row | null
  readonly #width: number
  readonly columns: readonly Column[]
  readonly reads: ReadColumns

  private constructor(
    model: ModelSpec,
    made: {
      readonly session: DuckdbSession
      readonly prepared: DuckDBPreparedStatement
      readonly columns: readonly Column[]
      readonly reads: ReadColumns
      readonly width: number
    },
  ) {
    this.#model = model
    this.#session = made.session
    this.#prepared = made.prepared
    this.#width = made.width
    this.#read = rowReader(made.columns)
    this.columns = made.columns
    this.reads = made.reads
  }

  /** Rejects with `query` for SQL that is not row by row, or that reads columns which are not there. */
  static async open(model: ModelSpec, from: readonly ChangesColumn[]): Promise<ChangesQuery> {
    const session = await DuckdbSession.open(tmpdir(), {
      memoryLimit: MEMORY_LIMIT,
      threads: 1,
      tempDirectory: '',
    })
    try {
      const { connection } = session
      await session.closeOff([])
      const texts = from.map((_, index) => `c${index} VARCHAR`)
      const values = from.map(({ name, value }, index) => `${value(`c${index}`)} AS ${quoteIdentifier(name)}`)
      await connection.run(`CREATE TEMP TABLE incoming (place INTEGER, ${texts.join(', ')})`)
      await connection.run(
        `CREATE TEMP VIEW ${CHANGES} AS SELECT ${values.join(', ')}, CAST(NULL AS VARCHAR) AS ${quoteIdentifier(WHY_INVALID)}, place AS ${quoteIdentifier(PLACE)} FROM incoming`,
      )
      const { valid } = await rowByRow(connection, model, {
        keyOfInvalid: null,
        through: [WHY_INVALID, PLACE],
      })
      const carried = await carriedBy(connection, model, valid, [WHY_INVALID, PLACE])
      const columns = carried.map(({ name, carried: { type } }) => ({ name, type }))
      const reads = await columnsRead(connection, model)
      const prepared = await connection.prepare(
        `SELECT ${quoteIdentifier(PLACE)}, CAST(to_json(struct_pack(${carried.map(asJson).join(', ')})) AS VARCHAR) FROM (${valid})`,
      )
      return new ChangesQuery(model, { session, prepared, columns, reads, width: from.length })
    } catch (error) {
      await session[Symbol.asyncDispose]()
      throw isSluiceError(error) ? error : failed(model, duckdbMessage(error), error)
    }
  }

  /**
   * Returns what the SQL makes of each row, given as texts; null if it leaves the row out. Rejects with
   * `query` if the SQL fails. Not to be called concurrently.
   */
  async run(
    rows: readonly (readonly (string | null)[])[],
    signal: AbortSignal,
  ): Promise<readonly (Row | null)[]> {
    const { connection } = this.#session
    try {
      return await this.#session.interruptible(signal, async () => {
        await connection.run('DELETE FROM incoming')
        const appender = await connection.createAppender('incoming', 'main', 'temp')
        for (const [place, texts] of rows.entries()) {
          appender.appendInteger(place)
          for (let index = 0; index < this.#width; index += 1) {
            const text = texts[index] ?? null
            if (text === null) appender.appendNull()
            else appender.appendVarchar(text)
          }
          appender.endRow()
        }
        appender.closeSync()
        const reader = await this.#prepared.runAndReadAll()
        const made: (Row | null)[] = rows.map(() => null)
        for (const [place, json] of reader.getRows())
          made[Number(place)] = this.#read(JSON.parse(String(json)))
        return made
      })
    } catch (error) {
      signal.throwIfAborted()
      throw failed(this.#model, duckdbMessage(error), error)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#prepared.destroySync()
    return this.#session[Symbol.asyncDispose]()
  }
}

function asJson({ name, carried: { type, cast } }: CarriedColumn, index: number): string {
  const quoted = quoteIdentifier(name)
  return `c${index} := ${jsonForm(type, cast === null ? quoted : cast(quoted))}`
}

function rowReader(columns: readonly Column[]): (json: unknown) => Row | null {
  const readers = columns.map(({ type }, index) => ({ name: `c${index}`, read: valueReader(type) }))
  return json => {
    const members = membersOf(json, readers)
    if (members === null) return null
    const row: { [name: string]: Value } = {}
    for (const [index, { name }] of columns.entries()) setMember(row, name, members[`c${index}`] ?? null)
    return row
  }
}

/** Returns the columns that the model's SQL gives of a table with these. */
export async function selectedColumns(
  model: ModelSpec,
  columns: readonly Column[],
  signal: AbortSignal,
): Promise<readonly Column[]> {
  const typed = columns.map(column => ({ ...column, value: () => `CAST(NULL AS ${sqlTypeOf(column.type)})` }))
  await using query = await ChangesQuery.open(model, typed)
  signal.throwIfAborted()
  return query.columns
}
