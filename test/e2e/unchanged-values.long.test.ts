/**
 * A row that is read twice from an unchanged source is no change, whatever its values: random values of each
 * type and kind of source are read, compared, written as changes, read back into the state, and read again.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { changeSchema } from '@sluice/contracts/avro/schemas'
import type { Change } from '@sluice/contracts/records'
import type { SourceSpec } from '@sluice/contracts/resources'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import type { DeliveredState, DiffRequest } from '@sluice/delivered-state/port'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import type { SchemaCodec } from '@sluice/schema-codec/port'
import { openSource } from '@sluice/sources/adapters/open-source'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { projectFolder } from './project-folder.ts'
import { MARIADB_COLUMNS, POSTGRES_COLUMNS } from './random-server-values.ts'
import { DUCKDB_COLUMNS, type RandomColumn } from './random-values.ts'

const { signal } = new AbortController()
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
/** With more rows, the requests of a whole pipeline would take most of the time. */
const SENT_ROWS = 300
/** A change without its place in its run. */
const FRAME = {
  ...{ incarnation: 'i', owner: 7, run: 1, replayed: null, op: 'added', before: null, beforeState: 'absent' },
  ...{ settledState: null, muted: null, captured: null, retried: null },
}

/** The requests that an API has got after each of three runs. */
async function sentBy(path: string, columns: readonly RandomColumn[]): Promise<readonly number[]> {
  await using api = await startScriptedApi()
  const printed = columns.map(({ type }) => `{{ row[${JSON.stringify(type)}] }}`)
  await using project = await projectFolder({
    files: {
      'project.yaml': `
kind: source
name: file
type: duckdb
path: ${path}
---
kind: model
name: values
source: file
table: t
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: sync
name: unchanged
model: values
destination: api
triggers:
  added: &send
    method: PUT
    path: /rows/{{ row.id }}
    body:
      text:
        contentType: text/plain
        template: |
          ${printed.join('|')}
  changed: *send
`,
    },
    env: { API_URL: api.url },
  })
  const received: number[] = []
  for (let run = 0; run < 3; run += 1) {
    const { view } = await project.run('unchanged')
    expect(view).toMatchObject({ status: 'success', error: null })
    received.push(api.requests.length)
  }
  return received
}

/** Types that a file of the kind cannot hold. */
const NOT_IN: { readonly [kind: string]: RegExp } = {
  parquet: /^(bit|bignum|union|variant|time_ns|timetz|interval.*)$/,
  csv: /^variant$/,
  // DuckDB writes NaN in lists, and decimals without a digit before the point, as what is no JSON.
  json: /^(variant|decimal\(38,38\)|float\[\]|double\[\]|array|struct|map)$/,
}

/** SLUICE_TEST_ROWS=100000 takes a quarter of an hour. */
const rows = Number(process.env['SLUICE_TEST_ROWS'] ?? 1_500)
const types = ['plain', 'all']
const kinds = ['parquet', 'csv', 'json']
describe(`a row that is read twice is no change (SLUICE_TEST_SEED=${SEED})`, { timeout: 1_800_000 }, () => {
  let folder = ''
  let codec: SchemaCodec
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-unchanged-'))
    codec = createSqliteCodec({ file: join(folder, 'codec.db') })
  })
  afterAll(async () => {
    await codec[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  /** The columns that have changed in a second run and in a third. */
  async function changed(
    kind: string,
    spec: SourceSpec,
    of: { readonly from: string; readonly password?: string },
  ): Promise<readonly string[]> {
    await using source = await openSource(spec, {
      secretFor: () => of.password ?? '',
      memoryBytes: 1_000_000_000,
    })
    let extracts = 0
    const requestFor = async (sql: string): Promise<DiffRequest> => {
      const model = { kind: 'model', name: 'm', source: 's', sql, primaryKey: 'id' } as const
      const { file, columns } = await source.extract(model, {
        file: join(folder, `${kind}-${extracts++}.duckdb`),
        signal,
      })
      const compare = columns.map(({ name }) => name)
      const opsWithTrigger = new Set(['added', 'changed', 'removed'] as const)
      return {
        ...{ extractFile: file, columns, primaryKey: ['id'], compare, opsWithTrigger, baseline: false },
        signal,
      }
    }
    const sql = `SELECT * FROM ${of.from}`
    const request = await requestFor(sql)
    const state = await openDeliveredState({
      ...{ file: join(folder, `${kind}.state`), sync: 's', incarnation: 'i', partitions: 1 },
      memoryLimit: '1000MB',
    })
    try {
      expect(await deliver(state, request)).toBe(rows)
      const again = await requestFor(sql)
      const found = await detected(state, again)
      if (found === 0) return []
      const wrong = [`${found} rows`]
      for (const name of again.compare)
        if ((await detected(state, { ...again, compare: [name] })) > 0) wrong.push(name)
      return wrong
    } finally {
      await state[Symbol.asyncDispose]()
    }
  }

  /** Writes the changes as a run does, and reads them as the next one does. Gives how many there were. */
  async function deliver(state: DeliveredState, request: DiffRequest): Promise<number> {
    const diff = await state.diff(request)
    const encoder = await codec.encoder('s', changeSchema(diff.columns), { signal, compatibility: 'none' })
    const frame = encoder.frame(FRAME)
    const written: Uint8Array[][] = [[]]
    const add = (bytes: Uint8Array): void => {
      if ((written.at(-1)?.length ?? 0) >= 1000) written.push([])
      written.at(-1)?.push(bytes)
    }
    let seq = 0
    const keys: string[] = []
    for await (const batch of diff.changesByColumn()) {
      if ('changes' in batch) {
        for (const change of batch.changes) {
          keys.push(change.key)
          add(encoder.encode({ ...FRAME, ...change, seq: seq++ }))
        }
        continue
      }
      const { newRows } = batch
      const encoded = encoder.rows(newRows)
      for (let row = 0; row < newRows.rows; row += 1) {
        const into = Buffer.alloc(encoded.maxBytes(frame, row))
        add(into.subarray(0, encoded.write(into, 0, { frame, row, seq: seq++ })))
        const start = newRows.keys.starts[row] ?? 0
        keys.push(
          Buffer.from(newRows.keys.bytes).toString('utf8', start, start + (newRows.keys.lengths[row] ?? 0)),
        )
      }
    }
    let offset = 0
    for (const values of written) {
      const records = (await codec.decode(values, { signal })).map(({ value }) => {
        const change = { ...(value as Change), key: keys[offset] ?? '' }
        return { offset: offset++, timestamp: 0, change }
      })
      await state.feed({ partition: 0, changes: { records, nextOffset: offset } })
    }
    await state.commit()
    return offset
  }

  async function detected(state: DeliveredState, request: DiffRequest): Promise<number> {
    const { counts } = await state.diff(request)
    return Object.values(counts).reduce((sum, { detected: rows }) => sum + rows, 0)
  }

  const plain = (columns: readonly RandomColumn[]): readonly RandomColumn[] =>
    columns.filter(({ isNested }) => isNested !== true)

  /** A folder with a file of each kind, of all types that it can hold. */
  async function files(columns: readonly RandomColumn[], name: string, count = rows): Promise<void> {
    const instance = await DuckDBInstance.create(join(folder, `${name}.duckdb`), {
      storage_compatibility_version: 'latest',
    })
    const connection = await instance.connect()
    await connection.run("SET TimeZone = 'UTC'")
    const select = columns.map(({ type, sql }) => `${sql(SEED)} AS "${type}"`)
    await connection.run(
      `CREATE TABLE t AS SELECT i::INTEGER AS id, ${select.join(', ')} FROM range(${count}) AS r(i)`,
    )
    for (const kind of kinds) {
      const held = columns.filter(({ type }) => NOT_IN[kind]?.test(type) !== true)
      await connection.run(
        `COPY (SELECT id, ${held.map(({ type }) => `"${type}"`).join(', ')} FROM t) TO '${join(folder, `${name}.${kind}`)}'`,
      )
    }
    connection.closeSync()
    instance.closeSync()
  }

  for (const [name, columns] of [
    ['plain', plain(DUCKDB_COLUMNS)],
    ['all', DUCKDB_COLUMNS],
  ] as const) {
    describe(`of a file with ${name} types`, () => {
      beforeAll(() => files(columns, name), 600_000)
      it('of DuckDB', async () => {
        const spec = {
          kind: 'source',
          name: 's',
          type: 'duckdb',
          path: join(folder, `${name}.duckdb`),
        } as const
        expect(await changed(`${name}-duckdb`, spec, { from: 't' })).toEqual([])
      })
      it.each(kinds)('of the kind %s', async kind => {
        const spec = { kind: 'source', name: 's', type: 'duckdb', path: folder } as const
        expect(await changed(`${name}-${kind}`, spec, { from: `'${name}.${kind}'` })).toEqual([])
      })
    })
  }

  it('of DuckDB, by what an API gets of three runs', async () => {
    await files(DUCKDB_COLUMNS, 'sent', SENT_ROWS)
    const received = await sentBy(join(folder, 'sent.duckdb'), DUCKDB_COLUMNS)
    expect(received).toEqual([SENT_ROWS, SENT_ROWS, SENT_ROWS])
  })

  const postgresUrl = inject('postgresUrl')
  it.skipIf(postgresUrl === null).each(types)('of PostgreSQL, with %s types', async name => {
    const table = `unchanged_${SEED}_${name}`
    const admin = new pg.Client({ connectionString: postgresUrl ?? '' })
    await admin.connect()
    try {
      const columns = name === 'plain' ? plain(POSTGRES_COLUMNS) : POSTGRES_COLUMNS
      const composite = `${table}_row`
      const select = columns.map(
        ({ type, sql }) => `${sql(SEED).replaceAll('random_row', composite)} AS "${type}"`,
      )
      await admin.query(`CREATE TYPE ${composite} AS (n bigint, t text, f real)`)
      await admin.query(
        `CREATE TABLE ${table} AS SELECT i AS id, ${select.join(', ')} FROM generate_series(1, ${rows}) AS r(i)`,
      )
      const url = new URL(postgresUrl ?? '')
      const spec = { kind: 'source', name: 's', type: 'postgres', url: url.href } as const
      expect(await changed(`${name}-postgres`, spec, { from: table })).toEqual([])
    } finally {
      await admin.query(`DROP TABLE IF EXISTS ${table}; DROP TYPE IF EXISTS ${table}_row`)
      await admin.end()
    }
  })

  const mariadbUrl = inject('mariadbUrl')
  it.skipIf(mariadbUrl === null).each(types)('of MariaDB, with %s types', async name => {
    const table = `unchanged_${SEED}_${name}`
    const login = new URL(mariadbUrl ?? '')
    const admin = await mysql.createConnection({ uri: login.href, charset: 'utf8mb4' })
    try {
      await admin.query(`SET sql_mode = '', time_zone = '+00:00'`)
      const columns = name === 'plain' ? plain(MARIADB_COLUMNS) : MARIADB_COLUMNS
      const defined = columns.map(({ type, as }) => `\`${type}\` ${as ?? type}`)
      await admin.query(`CREATE TABLE ${table} (id INT, ${defined.join(', ')})`)
      await admin.query(
        `INSERT INTO ${table} SELECT seq AS id, ${columns.map(({ sql }) => sql(SEED)).join(', ')} FROM seq_1_to_${rows}`,
      )
      const { password } = login
      login.password = ''
      const spec = {
        ...({ kind: 'source', name: 's', type: 'mysql' } as const),
        ...{ url: login.href, password: '${secret:db}' },
      }
      expect(await changed(`${name}-mariadb`, spec, { from: table, password })).toEqual([])
    } finally {
      await admin.query(`DROP TABLE IF EXISTS ${table}`)
      await admin.end()
    }
  })
})
