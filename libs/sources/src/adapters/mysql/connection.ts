/** One connection to MySQL or MariaDB, for one query of a user in one read-only snapshot. */
import { Socket } from 'node:net'
import { publicSocket } from '@sluice/http-sender/egress-guard'
import { type Connection, createConnection } from 'mysql2'
import type { DescribedField } from './types.ts'
import { CONNECT_TIMEOUT_MS, type ServerAccess } from '../server/access.ts'
import { AnswerTooLong, MAX_ANSWER_BYTES } from '../server/errors.ts'
import { MAX_ROW_BYTES } from '../server/row-text.ts'

/**
 * Overrides the server's own settings for reading SQL and printing values: texts may have quotes of both
 * kinds, CHAR gets no blanks, and seconds keep their fraction.
 */
const SQL_MODE = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'
/**
 * Sets the character set again, which the connection has asked for already. A server may ignore that request
 * (`skip-character-set-client-handshake`), or set another one as the session begins (`init_connect`). Then
 * characters would arrive as `?`.
 */
const CHARACTERS = [
  'character_set_client = utf8mb4',
  'character_set_results = utf8mb4',
  'collation_connection = utf8mb4_general_ci',
]
/**
 * Overrides limits of the server that would cut off characters or rows. Missing rows would count as removed.
 */
const NO_LIMITS = ['sql_select_limit = 18446744073709551615', `group_concat_max_len = ${MAX_ROW_BYTES + 1}`]
/** The server waits this long for Sluice to read on, for example if the disk is slow. */
const WRITE_TIMEOUT_SECONDS = 600
/** Sluice tries for this long to make the server end a query that nobody waits for. */
const KILL_TIMEOUT_MS = 2_000

/** Opens a connection. Rejects with mysql2's error. Drops errors of a connection that nobody waits for. */
export async function connect(access: ServerAccess): Promise<Connection> {
  const { host, port, user, database, password, tls, guarded, timeoutMs } = access
  const connection = createConnection({
    host,
    port,
    user,
    database,
    password,
    charset: 'utf8mb4',
    connectTimeout: Math.min(CONNECT_TIMEOUT_MS, timeoutMs ?? CONNECT_TIMEOUT_MS),
    multipleStatements: false,
    // Without this flag, the server could ask for files of this machine.
    flags: ['-LOCAL_FILES'],
    stream: () => socketTo(host, port, guarded),
    ...(tls === null ? {} : { ssl: { ...tls, verifyIdentity: tls.rejectUnauthorized } }),
  })
  guardReading(connection)
  // Without a listener, an `error` event would end the process. A caller gets the error from its query, or
  // has its own listener.
  connection.on('error', () => undefined)
  return new Promise((resolve, reject) => {
    connection.connect(error => {
      if (error === null) resolve(connection)
      else {
        destroy(connection)
        reject(error)
      }
    })
  })
}

/** Connections that are receiving the rows of a model. */
const streaming = new WeakSet<Connection>()

/** Lifts the limit on what the server sends, since rows may be many, until `areOver` is called. */
export function expectRows(connection: Connection): { readonly areOver: () => void } {
  streaming.add(connection)
  return { areOver: () => void streaming.delete(connection) }
}

/** mysql2's reader of packets. It puts another function into `execute` when a piece ends within a packet. */
interface PacketParser {
  execute: (data: Buffer) => unknown
  readonly largePacketParts: readonly Buffer[]
}

/** A packet of rows may have this many parts of 16 MB. DuckDB refuses a row beyond its own limit. */
const MAX_PARTS = 4

/**
 * Destroys a connection whose server sends what mysql2 cannot read, or too much beside the rows of a model.
 */
function guardReading(connection: Connection): void {
  const parser = Reflect.get(connection, 'packetParser') as PacketParser
  let { execute } = parser
  let bytes = 0
  const read = (data: Buffer): void => {
    try {
      if (!streaming.has(connection)) bytes += data.length
      if (bytes > MAX_ANSWER_BYTES) throw new AnswerTooLong(MAX_ANSWER_BYTES)
      if (parser.largePacketParts.length > MAX_PARTS) throw new AnswerTooLong(MAX_PARTS * MAX_ANSWER_BYTES)
      Reflect.apply(execute, parser, [data])
    } catch (error) {
      const stream: unknown = Reflect.get(connection, 'stream')
      if (stream instanceof Socket) stream.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }
  Object.defineProperty(parser, 'execute', {
    get: () => read,
    set: (next: PacketParser['execute']) => {
      execute = next
    },
  })
}

/**
 * Opens the socket of a connection. TLS compares the server's certificate with the socket's host, which Node
 * sets only for names. So this sets it for an IP address, too, since TLS would otherwise expect `localhost`.
 */
function socketTo(host: string, port: number, guarded: string | null) {
  const socket = guarded === null ? new Socket() : publicSocket(guarded)
  socket.connect(port, host)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 10_000)
  Reflect.set(socket, '_host', host)
  return socket
}

/** Runs a statement and resolves with its rows. */
export function run(connection: Connection, sql: string): Promise<readonly (readonly unknown[])[]> {
  return new Promise((resolve, reject) => {
    connection.query({ sql, rowsAsArray: true }, (error, rows) => {
      if (error === null) resolve(Array.isArray(rows) ? rows.filter(row => Array.isArray(row)) : [])
      else reject(error)
    })
  })
}

/** Begins the read-only snapshot in which the query runs, with its time-out. */
export async function beginSnapshot(connection: Connection, timeoutMs: number | null): Promise<void> {
  const settings = [
    `time_zone = '+00:00'`,
    `sql_mode = '${SQL_MODE}'`,
    ...CHARACTERS,
    ...NO_LIMITS,
    `net_write_timeout = ${WRITE_TIMEOUT_SECONDS}`,
  ]
  if (timeoutMs !== null) {
    const [[version = ''] = []] = await run(connection, 'SELECT VERSION()')
    const isMariadb = String(version).includes('MariaDB')
    settings.push(
      isMariadb ? `max_statement_time = ${timeoutMs / 1000}` : `max_execution_time = ${timeoutMs}`,
    )
  }
  await run(connection, `SET ${settings.map(setting => `SESSION ${setting}`).join(', ')}`)
  await run(connection, 'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ')
  await run(connection, 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY')
}

/** The server's description of a statement before it runs. */
export interface Described {
  readonly fields: readonly DescribedField[]
  readonly parameters: number
}

/** Prepares one statement without running it. Rejects with mysql2's error, also for several statements. */
export function describeStatement(connection: Connection, sql: string): Promise<Described> {
  return new Promise((resolve, reject) => {
    connection.prepare(sql, (error, statement) => {
      if (error !== null) {
        reject(error)
        return
      }
      const fields: unknown = Reflect.get(statement, 'columns')
      const parameters: unknown = Reflect.get(statement, 'parameters')
      resolve({
        fields: Array.isArray(fields) ? fields : [],
        parameters: Array.isArray(parameters) ? parameters.length : 0,
      })
    })
  })
}

/** Breaks the connection. All calls that wait for an answer fail at once. */
export function destroy(connection: Connection): void {
  // mysql2's own `destroy` leaves the callers waiting.
  const stream: unknown = Reflect.get(connection, 'stream')
  if (stream instanceof Socket) stream.destroy()
}

/**
 * Ends the query that may still run on a connection. A server notices a lost client only when it sends data.
 */
export async function abandon(connection: Connection, access: ServerAccess): Promise<void> {
  let other: Connection | null = null
  const late = setTimeout(() => other !== null && destroy(other), KILL_TIMEOUT_MS)
  try {
    other = await connect({ ...access, timeoutMs: KILL_TIMEOUT_MS })
    await run(other, `KILL ${connection.threadId}`)
  } catch {
    // The server cannot be reached, or has already ended the query.
  } finally {
    clearTimeout(late)
    if (other !== null) destroy(other)
  }
}

/** Closes the connection in an orderly way. Resolves once that is done or has failed. */
export function end(connection: Connection): Promise<void> {
  return new Promise(resolve => connection.end(() => resolve()))
}
