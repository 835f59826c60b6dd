/**
 * What Debezium captures of a PostgreSQL and of a MariaDB, in each of its formats, is streamed to an API. The
 * API keeps the rows that it was sent. They are the rows of the table.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Kafka, logLevel } from 'kafkajs'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { describe, inject, it } from 'vitest'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { type ConnectService, startConnect } from '../../deploy/local/connect.ts'
import { Workspace } from '../../deploy/local/workspace.ts'
import { projectFolder } from './project-folder.ts'
import {
  API,
  capturedTable,
  type CapturedTable,
  changeInEachWay,
  COLUMNS,
  fillTable,
  ReceivedRows,
  streamedSync,
  untilEqual,
} from './streamed-tables.ts'

const brokers = inject('kafkaBrokers')
const registryUrl = inject('registryUrl')
const postgresUrl = inject('postgresUrl')
const mariadbUrl = inject('mariadbUrl')

type OwnTable = CapturedTable & AsyncDisposable

async function postgresTable(): Promise<OwnTable> {
  const name = `captured_${randomUUID().slice(0, 8)}`
  const client = new pg.Client({ connectionString: postgresUrl ?? '' })
  await client.connect()
  await client.query(`CREATE TABLE ${name} (${COLUMNS} text)`)
  return {
    ...capturedTable(name, async sql => (await client.query<Record<string, unknown>>(sql)).rows),
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

async function mariadbTable(): Promise<OwnTable> {
  const name = `captured_${randomUUID().slice(0, 8)}`
  const client = await mysql.createConnection({ uri: mariadbUrl ?? '', multipleStatements: true })
  await client.query(`CREATE TABLE ${name} (${COLUMNS} longtext)`)
  return {
    ...capturedTable(name, async sql => (await client.query<mysql.RowDataPacket[]>(sql))[0]),
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
  const models = captured.map(
    ({ topic, sync }) => `
kind: model
name: ${sync}
source: cdc
topic: ${topic}
format: debezium
`,
  )
  const source = `
kind: source
name: cdc
type: kafka
brokers: ['${brokers ?? ''}']
registry: ${registryUrl ?? ''}
`
  return [source, API, ...models, ...captured.map(({ sync }) => streamedSync(sync))].join('---')
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
      for (const table of tables) await fillTable(table)
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
      const equal = (what: string): Promise<void> => untilEqual({ api, received }, captured, what)
      try {
        await changeInEachWay(tables, { bulk: [postgres, mariadb], equal })
        // Debezium's flattening leaves out a truncate.
        await flat.run('DELETE FROM $table')
        for (const table of [postgres, mariadb]) await table.run('TRUNCATE $table')
        for (const table of tables) await table.run(`INSERT INTO $table (id, name) VALUES (1, 'again')`)
        await equal('an emptied table')
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
