/** One connection to PostgreSQL, for one query of a user in one read-only snapshot. */
import type { Duplex } from 'node:stream'
import { publicSocket } from '@sluice/http-sender/egress-guard'
import { Client, Connection, type FieldDef } from 'pg'
import { type Catalog, type CatalogType, type DescribedColumn, isKnownType } from './types.ts'
import { CONNECT_TIMEOUT_MS, type ServerAccess } from '../server/access.ts'
import { WholeMessages } from './whole-messages.ts'

/**
 * Overrides the settings of server, database and role for printing values. These settings end with the
 * transaction, so that a connection pool may then give the session to other clients.
 */
export const SETTINGS = [
  `TimeZone = 'UTC'`,
  `DateStyle = 'ISO, YMD'`,
  `IntervalStyle = 'postgres'`,
  `bytea_output = 'hex'`,
  // This prints the shortest digits that read back as the same number.
  `extra_float_digits = 3`,
]
/** The longest `statement_timeout` that PostgreSQL accepts: 32 bits of milliseconds. */
const MAX_STATEMENT_TIMEOUT_MS = 2_147_483_647
/** Sluice tries for this long to make the server end a query that nobody waits for. */
const CANCEL_TIMEOUT_MS = 2_000

/** Opens a connection. Rejects with pg's error. Drops errors of a connection that nobody waits for. */
export function connect(access: ServerAccess): Promise<Client> {
  return open(access, {})
}

/**
 * Opens a connection for logical replication. It takes SQL as well, without parameters. It prints values as a
 * query does, and has no time-outs of the server's settings.
 */
export async function connectForReplication(access: ServerAccess): Promise<Client> {
  const client = await open(access, { replication: 'database' })
  const noTimeouts = ['statement_timeout', 'idle_in_transaction_session_timeout'].map(name => `${name} = 0`)
  await client.query([...SETTINGS, ...noTimeouts].map(setting => `SET ${setting}`).join(';'))
  return client
}

async function open(access: ServerAccess, more: { readonly replication?: 'database' }): Promise<Client> {
  const { host, port, user, database, password, tls, guarded, timeoutMs } = access
  const client = new Client({
    ...more,
    host,
    port,
    user,
    database,
    // A function keeps pg from looking for another password in its environment variables and files.
    password: () => password,
    ssl: tls ?? false,
    ...(guarded === null ? {} : { stream: () => publicSocket(guarded) }),
    application_name: 'sluice',
    connectionTimeoutMillis: Math.min(CONNECT_TIMEOUT_MS, timeoutMs ?? CONNECT_TIMEOUT_MS),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  })
  guardReading(client.connection)
  // A caller that waits for a query gets the error from that query.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return client
  } catch (error) {
    void client.end().catch(() => undefined)
    throw error
  }
}

/**
 * Destroys a connection whose server sends what pg cannot read, or too much beside the rows of a copy. pg
 * itself would end the process, or read for ever.
 */
function guardReading(connection: Connection): void {
  const attach: unknown = Reflect.get(connection, 'attachListeners')
  if (typeof attach !== 'function') throw new Error('pg reads its connection in another way')
  Reflect.set(connection, 'attachListeners', (stream: Duplex): void => {
    Reflect.apply(attach, connection, [stream])
    const [reader, ...others] = stream.listeners('data')
    if (reader === undefined || others.length > 0) throw new Error('pg reads its connection in another way')
    stream.off('data', reader as (data: Buffer) => void)
    const messages = new WholeMessages()
    stream.on('data', (data: Buffer) => {
      try {
        const whole = messages.take(data)
        if (whole.length > 0) Reflect.apply(reader, stream, [whole])
      } catch (error) {
        stream.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    })
  })
}

/**
 * Begins the read-only snapshot in which the query runs, with its time-out. `snapshot` names one that another
 * connection has exported.
 */
export async function beginSnapshot(
  client: Client,
  timeoutMs: number | null,
  snapshot: string | null = null,
): Promise<void> {
  await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
  if (snapshot !== null) await client.query(`SET TRANSACTION SNAPSHOT ${client.escapeLiteral(snapshot)}`)
  const timeout =
    timeoutMs === null ? [] : [`statement_timeout = ${Math.min(timeoutMs, MAX_STATEMENT_TIMEOUT_MS)}`]
  await client.query([...SETTINGS, ...timeout].map(setting => `SET LOCAL ${setting}`).join(';'))
}

/** The methods of pg's connection that its types lack. */
interface Canceller {
  connect(port: number, host: string): void
  cancel(processID: number, secretKey: number): void
}

/**
 * Ends the query that may still run on a connection. A server notices a lost client only when it sends data.
 * The request to cancel goes over a connection of its own, without a login, so that no limit of connections
 * refuses it. A pooler such as PgBouncer passes it on to the server that has the query.
 */
export async function abandon(client: Client, access: ServerAccess): Promise<void> {
  const processID: unknown = Reflect.get(client, 'processID')
  const secretKey: unknown = Reflect.get(client, 'secretKey')
  if (typeof processID !== 'number' || typeof secretKey !== 'number') return
  const { host, port, tls, guarded } = access
  const canceller = new Connection({
    ssl: tls ?? false,
    ...(guarded === null ? {} : { stream: () => publicSocket(guarded) }),
  }) as Connection & Canceller
  guardReading(canceller)
  const timer = setTimeout(() => canceller.stream.destroy(), CANCEL_TIMEOUT_MS)
  await new Promise<void>(resolve => {
    // If the server cannot be reached, the query's connection is gone, too.
    canceller.on('error', () => resolve())
    canceller.once('end', () => resolve())
    canceller.once(tls === null ? 'connect' : 'sslconnect', () => canceller.cancel(processID, secretKey))
    canceller.connect(port, host)
  }).finally(() => clearTimeout(timer))
  canceller.stream.destroy()
}

/** PostgreSQL's description of a statement before it runs. */
export interface Described {
  /** Null for a statement that gives no rows. */
  readonly columns: readonly DescribedColumn[] | null
  readonly parameters: number
}

/**
 * Parses and analyses one statement without running it. Rejects with pg's error, also for several statements.
 */
export function describeStatement(client: Client, text: string): Promise<Described> {
  return new Promise((resolve, reject) => {
    let columns: readonly DescribedColumn[] | null = null
    let parameters = 0
    const countParameters = (message: { readonly parameterCount: number }): void => {
      parameters = message.parameterCount
    }
    const query = {
      submit(connection: Connection): void {
        connection.once('parameterDescription', countParameters)
        connection.parse({ name: '', text, types: [] }, true)
        connection.describe({ type: 'S', name: '' }, true)
        connection.sync()
      },
      handleRowDescription({ fields }: { readonly fields: readonly FieldDef[] }): void {
        columns = fields.map(field => ({
          name: field.name,
          typeId: field.dataTypeID,
          modifier: field.dataTypeModifier,
        }))
      },
      handleError(error: unknown): void {
        reject(error instanceof Error ? error : new Error(String(error)))
      },
      handleReadyForQuery(connection: Connection): void {
        connection.off('parameterDescription', countParameters)
        resolve({ columns, parameters })
      },
    }
    client.query(query)
  })
}

/**
 * Looks up the types whose numbers Sluice does not know, and the types of which they are made. A connection
 * for replication takes no parameters, so the numbers stand in the text.
 */
export async function readCatalog(client: Client, columns: readonly DescribedColumn[]): Promise<Catalog> {
  const catalog = new Map<number, CatalogType>()
  let wanted = columns.map(({ typeId }) => typeId).filter(id => !isKnownType(id))
  while (wanted.length > 0) {
    const { rows } = await client.query<CatalogType>(
      `SELECT oid::int8::float8 AS id, typtype::text AS kind, typcategory::text AS category,
         typelem::int8::float8 AS "elementId", typbasetype::int8::float8 AS "baseId", typtypmod AS "baseModifier"
       FROM pg_catalog.pg_type WHERE oid = ANY('{${wanted.join(',')}}'::oid[])`,
    )
    for (const type of rows) catalog.set(type.id, type)
    const parts = rows.flatMap(({ elementId, baseId }) => [elementId, baseId])
    wanted = [...new Set(parts)].filter(id => id !== 0 && !catalog.has(id))
  }
  return catalog
}
