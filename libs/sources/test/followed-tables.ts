/** Tables of a real PostgreSQL that tests follow. */
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'
import pg from 'pg'
import type { ModelSpec, PostgresSourceSpec } from '@sluice/contracts/resources'
import type { Column, Row } from '@sluice/contracts/values'
import { jsonForm, quoteIdentifier } from '@sluice/domain/canonical-sql'
import { membersOf, valueReader } from '@sluice/domain/value-reader'
import { createPostgresSource } from '../src/adapters/postgres.ts'
import type { FollowedServerOptions } from '../src/adapters/postgres/followed-server.ts'
import { createPostgresStreamSource } from '../src/adapters/postgres-stream.ts'
import type { Extract, Source } from '../src/port.ts'
import type { ComparedStream, StreamReader, StreamSource } from '../src/stream-port.ts'

const { signal } = new AbortController()

type Looking = Pick<FollowedServerOptions, 'lookMs'>

export interface FollowedTest extends AsyncDisposable {
  readonly table: string
  /** The names of its slot and its publication. */
  readonly slot: string
  readonly model: ModelSpec
  open(fields?: Partial<PostgresSourceSpec>, options?: Looking): StreamSource
  /** Opens the source as a table of now, for models with a schedule. */
  openTable(): Source
}

export class FollowedTables implements AsyncDisposable {
  readonly #url: URL
  readonly admin: pg.Client

  constructor(url: URL) {
    this.#url = url
    this.admin = new pg.Client({ connectionString: url.href })
  }

  async connect(): Promise<void> {
    await this.admin.connect()
  }

  /** Makes a table. `FOLLOWED` in `sql` is its name. */
  async make(
    sql: string,
    { primaryKey = 'id' }: Partial<Pick<ModelSpec, 'primaryKey'>> = {},
  ): Promise<FollowedTest> {
    const table = `t${randomUUID().replaceAll('-', '')}`
    await this.admin.query(sql.replaceAll('FOLLOWED', table))
    const model: ModelSpec = { kind: 'model', name: 'people', source: 'crm', table, primaryKey }
    const spec = (fields: Partial<PostgresSourceSpec>): PostgresSourceSpec => ({
      kind: 'source',
      name: 'crm',
      type: 'postgres',
      url: this.#url.href,
      follow: {},
      ...fields,
    })
    const open = (fields: Partial<PostgresSourceSpec> = {}, options: Looking = {}): StreamSource =>
      createPostgresStreamSource({ spec: spec(fields), secretFor: name => name, sync: table, ...options })
    return {
      table,
      slot: `sluice_${table}`,
      model,
      open,
      openTable: () => createPostgresSource({ spec: spec({}), secretFor: name => name }),
      [Symbol.asyncDispose]: async () => {
        await using source = open()
        await source.release(model, { signal })
        await this.admin.query(`DROP TABLE IF EXISTS ${table} CASCADE`)
        await this.admin.query(`DROP PUBLICATION IF EXISTS sluice_${table}`)
      },
    }
  }

  /** Ends the sessions that read through a slot. */
  async endReaders(slot: string): Promise<void> {
    await this.admin.query(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}' AND active`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.admin.end()
  }
}

/** Compares, and returns the rows as values. */
export async function comparedRows(
  reader: StreamReader,
  file: string,
): Promise<ComparedStream & { readonly rows: readonly (Row | null)[] }> {
  const compared = await reader.compare({ file, signal })
  const rows = await rowsIn(file, compared.columns)
  rmSync(file, { force: true })
  return { ...compared, rows }
}

/** Extracts, and returns the rows as values. */
export async function extractedRows(
  source: Source,
  model: ModelSpec,
  file: string,
): Promise<Extract & { readonly rows: readonly (Row | null)[] }> {
  const extract = await source.extract(model, { file, signal })
  const rows = await rowsIn(file, extract.columns)
  rmSync(file, { force: true })
  return { ...extract, rows }
}

/** Reads the rows of an extract as values, in their order. */
async function rowsIn(file: string, columns: readonly Column[]): Promise<readonly (Row | null)[]> {
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  try {
    await connection.run("SET TimeZone = 'UTC'")
    const values = columns.map(
      ({ name, type }, index) => `c${index} := ${jsonForm(type, quoteIdentifier(name))}`,
    )
    const reader = await connection.runAndReadAll(
      `SELECT CAST(to_json(struct_pack(${values.join(', ')})) AS VARCHAR) FROM rows`,
    )
    const readers = columns.map(({ type }, index) => ({ name: `c${index}`, read: valueReader(type) }))
    return reader.getRows().map(([json]) => {
      const row = membersOf(JSON.parse(String(json)), readers)
      return row === null
        ? null
        : Object.fromEntries(columns.map(({ name }, i) => [name, row[`c${i}`] ?? null]))
    })
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
