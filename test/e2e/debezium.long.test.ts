/**
 * What Debezium captures of a PostgreSQL and of a MariaDB, in each of its formats, is streamed to an API. The
 * API keeps the rows that it was sent. They are the rows of the table.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Kafka, logLevel } from 'kafkajs'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { describe, expect, inject, it } from 'vitest'
import { startScriptedApi, type RecordedRequest, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { type ConnectService, startConnect } from '../../deploy/local/connect.ts'
import { Workspace } from '../../deploy/local/workspace.ts'
import { projectFolder } from './project-folder.ts'

const brokers = inject('kafkaBrokers')
const registryUrl = inject('registryUrl')
const postgresUrl = inject('postgresUrl')
const mariadbUrl = inject('mariadbUrl')

const ROWS = Number(process.env['SLUICE_TEST_ROWS'] ?? 20_000)
/** Only what hangs takes so long, also on a busy machine. */
const STEP_MS = 120_000

type Rows = ReadonlyMap<string, Readonly<Record<string, unknown>>>

/** A table whose changes are captured. Statements and rows are those of both databases. */
interface CapturedTable extends AsyncDisposable {
  readonly name: string
  run(sql: string): Promise<void>
  /** Runs the statements in one transaction. */
  transact(...sql: readonly string[]): Promise<void>
  rows(): Promise<Rows>
}

const COLUMNS = 'id int primary key, name varchar(100), price numeric(12,2), big'
/** Texts that neither database can compress, nor keeps within the row. */
const bigText = (seed: number, length: number): string => {
  let text = ''
  for (let state = seed + 1; text.length < length;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    text += state.toString(36)
  }
  return text.slice(0, length)
}

/** Numbers are compared as numbers, since the digits of a decimal get lost where JSON is parsed. */
function byId(rows: readonly Readonly<Record<string, unknown>>[]): Rows {
  return new Map(
    rows.map(row => [String(row['id']), 'price' in row ? { ...row, price: numberOf(row['price']) } : row]),
  )
}

function numberOf(value: unknown): number | null {
  return value === null ? null : Number(value)
}

/** Statements name the table as `$table`. */
function statementsOn(
  name: string,
  query: (sql: string) => Promise<unknown>,
): Pick<CapturedTable, 'run' | 'transact'> {
  const run = async (sql: string): Promise<void> => {
    await query(sql.replaceAll('$table', name))
  }
  return { run, transact: async (...sql) => await run(['BEGIN', ...sql, 'COMMIT'].join(';')) }
}

async function postgresTable(): Promise<CapturedTable> {
  const name = `captured_${randomUUID().slice(0, 8)}`
  const client = new pg.Client({ connectionString: postgresUrl ?? '' })
  await client.connect()
  await client.query(`CREATE TABLE ${name} (${COLUMNS} text)`)
  return {
    name,
    ...statementsOn(name, sql => client.query(sql)),
    rows: async () => byId((await client.query<Record<string, unknown>>(`SELECT * FROM ${name}`)).rows),
    [Symbol.asyncDispose]: async () => {
      const slots = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE '${name}%' AND NOT active`
      await client.query(slots)
      const publications = `SELECT pubname FROM pg_publication WHERE pubname LIKE '${name}%'`
      const { rows } = await client.query<{ pubname: string }>(publications)
      for (const { pubname } of rows) await client.query(`DROP PUBLICATION ${pubname}`)
      await client.query(`DROP TABLE ${name}`)
      await client.end()
    },
  }
}

async function mariadbTable(): Promise<CapturedTable> {
  const name = `captured_${randomUUID().slice(0, 8)}`
  const client = await mysql.createConnection({ uri: mariadbUrl ?? '', multipleStatements: true })
  await client.query(`CREATE TABLE ${name} (${COLUMNS} longtext)`)
  return {
    name,
    ...statementsOn(name, sql => client.query(sql)),
    rows: async () => {
      const [rows] = await client.query<mysql.RowDataPacket[]>(`SELECT * FROM ${name}`)
      return byId(rows)
    },
    [Symbol.asyncDispose]: async () => {
      await client.query(`DROP TABLE ${name}`)
      await client.end()
    },
  }
}

const JSON_ALONE = {
  'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
  'key.converter.schemas.enable': 'false',
  'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
  'value.converter.schemas.enable': 'false',
  // Without a schema, nothing tells the digits after the point.
  'decimal.handling.mode': 'string',
}
const JSON_WITH_SCHEMAS = {
  ...JSON_ALONE,
  'key.converter.schemas.enable': 'true',
  'value.converter.schemas.enable': 'true',
  'decimal.handling.mode': 'precise',
}
function avro(): Readonly<Record<string, string>> {
  const converter = (of: string): Record<string, string> => ({
    [`${of}.converter`]: 'io.apicurio.registry.utils.converter.AvroConverter',
    [`${of}.converter.apicurio.registry.url`]: (registryUrl ?? '').replace(/ccompat.*$/, 'registry/v2'),
    [`${of}.converter.apicurio.registry.auto-register`]: 'true',
    // The id of the schema stands before the value, in four bytes, as Confluent's converters write it.
    [`${of}.converter.apicurio.registry.headers.enabled`]: 'false',
    [`${of}.converter.apicurio.registry.id-handler`]: 'io.apicurio.registry.serde.Legacy4ByteIdHandler',
    [`${of}.converter.apicurio.registry.use-id`]: 'contentId',
  })
  return { ...converter('key'), ...converter('value'), 'schema.name.adjustment.mode': 'avro' }
}
const FLAT = {
  transforms: 'flat',
  'transforms.flat.type': 'io.debezium.transforms.ExtractNewRecordState',
}

interface Captured {
  readonly format: string
  readonly table: CapturedTable
  readonly topic: string
  readonly sync: string
}

/** Starts a connector that captures a table. */
async function capture(
  connect: ConnectService,
  table: CapturedTable,
  { format, as }: { readonly format: string; readonly as: Readonly<Record<string, string>> },
): Promise<Captured> {
  const prefix = `${table.name}_${format.replaceAll('-', '_')}`
  const isPostgres = format.startsWith('postgres')
  const { username, password, hostname, port, pathname } = new URL(
    (isPostgres ? postgresUrl : mariadbUrl) ?? '',
  )
  const database = pathname.slice(1)
  const own = isPostgres
    ? {
        'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
        'plugin.name': 'pgoutput',
        'slot.name': prefix,
        'publication.name': prefix,
        'publication.autocreate.mode': 'filtered',
        'database.dbname': database,
        'table.include.list': `public.${table.name}`,
      }
    : {
        'connector.class': 'io.debezium.connector.mariadb.MariaDbConnector',
        'database.server.id': String(1_000 + Math.floor(Math.random() * 1e6)),
        'database.include.list': database,
        'table.include.list': `${database}.${table.name}`,
        'schema.history.internal.kafka.bootstrap.servers': brokers ?? '',
        'schema.history.internal.kafka.topic': `${prefix}.history`,
        // The binlog is that of the whole server. Debezium does not know each statement that others run
        // there.
        'schema.history.internal.skip.unparseable.ddl': 'true',
        'database.ssl.mode': 'disable',
      }
  await connect.connect(prefix, {
    ...own,
    'tasks.max': '1',
    'topic.prefix': prefix,
    'database.hostname': hostname,
    'database.port': port,
    'database.user': username,
    'database.password': password === '' ? 'none' : password,
    'skipped.operations': 'none',
    'poll.interval.ms': '10',
    'topic.creation.default.replication.factor': '1',
    'topic.creation.default.partitions': '1',
    'topic.creation.default.max.message.bytes': '8000000',
    'topic.creation.default.retention.ms': '-1',
    ...as,
  })
  const schema = isPostgres ? 'public' : database
  return { format, table, topic: `${prefix}.${schema}.${table.name}`, sync: format }
}

function projectYaml(captured: readonly Captured[]): string {
  const parts = captured.map(
    ({ topic, sync }) => `
---
kind: model
name: ${sync}
source: cdc
topic: ${topic}
format: debezium
---
kind: sync
name: ${sync}
model: ${sync}
destination: api
schedule: continuous
removalGuard: false
triggers:
  added: &put
    method: PUT
    path: /${sync}
    batch: { size: 500 }
    body:
      json: '[{% for row in rows %}{{ row | json }},{% endfor %}]'
  changed: *put
  removed:
    method: DELETE
    path: /${sync}
    batch: { size: 500 }
    body:
      json: '[{% for row in rows %}{{ row.id | json }},{% endfor %}]'
`,
  )
  return `
kind: source
name: cdc
type: kafka
brokers: ['${brokers ?? ''}']
registry: ${registryUrl ?? ''}
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
${parts.join('')}`
}

/** The rows that the API has, by sync. */
class ReceivedRows {
  readonly #rows = new Map<string, Map<string, Readonly<Record<string, unknown>>>>()
  #seen = 0

  take(requests: readonly RecordedRequest[]): this {
    for (const { method, url, body } of requests.slice(this.#seen)) {
      const sync = url.slice(1)
      const rows = this.#rows.get(sync) ?? new Map<string, Readonly<Record<string, unknown>>>()
      this.#rows.set(sync, rows)
      const items = JSON.parse(body) as readonly unknown[]
      for (const item of items)
        if (method === 'DELETE') rows.delete(String(item))
        else for (const [id, row] of byId([item as Readonly<Record<string, unknown>>])) rows.set(id, row)
    }
    this.#seen = requests.length
    return this
  }

  of(sync: string): Rows {
    return this.#rows.get(sync) ?? new Map()
  }
}

/**
 * What differs between two sets of rows, at most three rows of it. A column that is missing is null, and one
 * that the table has no more does not count.
 */
function differences(has: Rows, wants: Rows): readonly string[] {
  const found: string[] = []
  const show = (row: object | undefined): string => JSON.stringify(row)?.slice(0, 200) ?? 'no row'
  for (const id of new Set([...has.keys(), ...wants.keys()])) {
    const [is, wanted] = [has.get(id), wants.get(id)]
    const same =
      is !== undefined &&
      wanted !== undefined &&
      Object.entries(wanted).every(([name, value]) => (is[name] ?? null) === value)
    if (!same) found.push(`${id}: has ${show(is)}, wants ${show(wanted)}`)
    if (found.length === 3) break
  }
  return found
}

/** Resolves once the API has the rows of each table. */
async function untilEqual(
  api: ScriptedApi,
  received: ReceivedRows,
  captured: readonly Captured[],
  what: string,
): Promise<void> {
  const wanted = await Promise.all(
    captured.map(async ({ table, sync }) => ({ sync, rows: await table.rows() })),
  )
  const missing = (requests: readonly RecordedRequest[]): readonly string[] => {
    received.take(requests)
    return wanted.flatMap(({ sync, rows }) => {
      const has = received.of(sync)
      if (has.size !== rows.size) return [`${sync} has ${has.size} rows, wants ${rows.size}`]
      return differences(has, rows).map(each => `${sync}, row ${each}`)
    })
  }
  const signal = AbortSignal.timeout(STEP_MS)
  await api.waitFor(requests => missing(requests).length === 0, { signal }).catch(() => {})
  expect(missing(api.requests), what).toEqual([])
}

async function dropTopics(prefixes: readonly string[]): Promise<void> {
  const admin = new Kafka({ brokers: [brokers ?? ''], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  const topics = (await admin.listTopics()).filter(topic => prefixes.some(prefix => topic.startsWith(prefix)))
  await admin.deleteTopics({ topics })
  await admin.disconnect()
}

const given = [brokers, registryUrl, postgresUrl, mariadbUrl]
describe.skipIf(given.includes(null))('what Debezium captures', () => {
  it('arrives at an API as it is in the table', async () => {
    const workspace = new Workspace()
    await using postgres = await postgresTable()
    await using flat = await postgresTable()
    await using mariadb = await mariadbTable()
    const tables = [postgres, flat, mariadb]
    const connect = await startConnect(workspace, brokers ?? '')
    try {
      const big = (seed: number): string => `'${bigText(seed, 20_000)}'`
      const insert = (id: number): string =>
        `INSERT INTO $table (id, name, price, big) VALUES (${id}, 'n${id}', ${id}.50, ${big(id)})`
      for (const table of tables) for (const id of [1, 2, 3]) await table.run(insert(id))
      const captured = await Promise.all([
        capture(connect, postgres, { format: 'postgres-json', as: JSON_ALONE }),
        capture(connect, postgres, { format: 'postgres-json-schemas', as: JSON_WITH_SCHEMAS }),
        capture(connect, flat, { format: 'postgres-flat', as: { ...JSON_WITH_SCHEMAS, ...FLAT } }),
        capture(connect, mariadb, { format: 'mariadb-avro', as: avro() }),
      ])
      await using api = await startScriptedApi()
      await using project = await projectFolder({
        files: { 'project.yaml': projectYaml(captured) },
        env: { API_URL: api.url, SLUICE_PORT: '0' },
      })
      const received = new ReceivedRows()
      const server = project.start('up', '--json')
      const closed = once(server, 'close')
      server.stdout?.resume()
      server.stderr?.resume()
      const equal = (what: string): Promise<void> => untilEqual(api, received, captured, what)
      const everywhere = async (what: string, ...sql: readonly string[]): Promise<void> => {
        for (const table of tables) for (const each of sql) await table.run(each)
        await equal(what)
      }
      try {
        await equal('the snapshot')
        await everywhere(
          'single changes',
          insert(4),
          `UPDATE $table SET price = 7.25 WHERE id = 1`,
          'DELETE FROM $table WHERE id = 2',
          insert(2),
          'DELETE FROM $table WHERE id = 3',
        )
        await everywhere(
          'a change that does not tell the large value',
          `UPDATE $table SET name = 'known' WHERE id = 1`,
        )
        await everywhere(
          'a key that changes',
          `INSERT INTO $table (id, name, price, big) VALUES (5, 'moves', 1, 'small')`,
          'UPDATE $table SET id = 50 WHERE id = 5',
        )
        await everywhere('a row of 1 MB', `UPDATE $table SET big = '${bigText(9, 1_000_000)}' WHERE id = 4`)
        await everywhere('the next change of it', `UPDATE $table SET name = 'large' WHERE id = 4`)
        const blocks = Array.from({ length: ROWS / 1_000 }, (_, block) =>
          Array.from({ length: 1_000 }, (__, index) => 1_000 * (block + 1) + index),
        )
        for (const table of [postgres, mariadb])
          await table.transact(
            ...blocks.map(ids => {
              const rows = ids.map(id => `(${id}, 'n${id}', ${id}.25)`)
              return `INSERT INTO $table (id, name, price) VALUES ${rows.join(', ')}`
            }),
            `UPDATE $table SET name = 'twice' WHERE id BETWEEN 1000 AND 1999`,
          )
        await equal('a large transaction')
        await everywhere(
          'a column that comes',
          'ALTER TABLE $table ADD COLUMN extra int',
          // For rows that are there, a new column alone is no change.
          `UPDATE $table SET extra = 5, name = 'with more' WHERE id IN (1, 2)`,
        )
        await everywhere(
          'a column that goes',
          'ALTER TABLE $table DROP COLUMN price',
          `INSERT INTO $table (id, name) VALUES (6, 'without a price')`,
        )
        // Debezium's flattening leaves out a truncate.
        await flat.run('DELETE FROM $table')
        for (const table of [postgres, mariadb]) await table.run('TRUNCATE $table')
        await everywhere('an emptied table', `INSERT INTO $table (id, name) VALUES (1, 'again')`)
      } catch (error) {
        const runs = JSON.stringify(await project.runs().catch(() => []))
        throw new Error(`${String(error)}\n${runs.slice(0, 5_000)}\n${await workspace.logTail('connect')}`)
      } finally {
        server.kill('SIGTERM')
        await closed
      }
    } finally {
      await connect.stop()
      await workspace.close({ keepLogs: false })
      await dropTopics(tables.map(({ name }) => name))
    }
  }, 900_000)
})
