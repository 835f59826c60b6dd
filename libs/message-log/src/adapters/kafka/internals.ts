/**
 * The parts of kafkajs that this adapter uses, with types: one connection to one broker (framing, TLS, SASL),
 * and the encoders and decoders of the protocol's requests. They are private files of the package, so they
 * are loaded only from the version for which this file is written.
 * docs/decisions/kafkajs-pinned-in-one-adapter.md says why, and which parts of the protocol are our own.
 */
import { createRequire } from 'node:module'
import type { SASLOptions } from 'kafkajs'
import type { ConnectionOptions } from 'node:tls'
import type { Socket } from 'node:net'
import { SluiceError } from '@sluice/contracts/errors'

const require = createRequire(import.meta.url)

/** The version whose inner files this file knows. */
const KAFKAJS_VERSION = '2.2.4'
const { version } = require('kafkajs/package.json') as { readonly version: string }
if (version !== KAFKAJS_VERSION)
  throw new SluiceError(
    'config',
    `kafkajs ${version} is installed, and Sluice needs kafkajs ${KAFKAJS_VERSION}, of which it uses inner files. ` +
      'Install the packages again, as package-lock.json has them: npm ci',
  )

/** A request of kafkajs, with the decoder of its answer. */
interface WireCall<T> {
  readonly request: unknown
  readonly response: { parse(decoded: unknown): Promise<T> }
}

/** A request of our own, in bytes. The parts are written one after the other, without a copy. */
export interface OwnRequest<T> {
  readonly apiKey: number
  readonly apiName: string
  readonly apiVersion: number
  readonly parts: readonly Uint8Array[]
  /**
   * Throws a RangeError for an incomplete answer. `throttleMs` is the time that the broker asks its client to
   * wait.
   */
  parse(answer: Buffer): { readonly value: T; readonly throttleMs: number }
}

export type ApiName =
  | 'ListOffsets'
  | 'Metadata'
  | 'OffsetCommit'
  | 'OffsetFetch'
  | 'GroupCoordinator'
  | 'JoinGroup'
  | 'Heartbeat'
  | 'LeaveGroup'
  | 'SyncGroup'
  | 'ApiVersions'
  | 'CreateTopics'
  | 'DeleteTopics'
  | 'DeleteRecords'
  | 'DescribeConfigs'
  | 'InitProducerId'
  | 'ListGroups'
  | 'DescribeGroups'

type Versions = Record<number, { minVersion: number; maxVersion: number }>
type Builder = (args: object) => WireCall<unknown>
interface RequestDefinition {
  readonly versions: readonly string[]
  protocol(options: { version: number }): Builder
}

const { requests, lookup } = require('kafkajs/src/protocol/requests') as {
  requests: Readonly<Record<ApiName, RequestDefinition>>
  lookup: (versions: Versions) => (apiKey: number, definition: RequestDefinition) => Builder
}
const apiKeys = require('kafkajs/src/protocol/requests/apiKeys') as Readonly<Record<ApiName, number>>

interface RawEntry {
  readonly apiKey: number
  readonly apiName: string
  readonly apiVersion: number
  readonly correlationId: number
  resolve(answer: { readonly payload: Buffer }): void
  reject(error: unknown): void
}

interface RawQueue {
  readonly pending: readonly unknown[]
  push(request: {
    readonly entry: RawEntry
    readonly expectResponse: boolean
    readonly requestTimeout: null
    sendRequest(): void
  }): void
  maybeThrottle(throttleMs: number): void
  scheduleCheckPendingRequests(this: RawQueue): void
  rejectAll(error: Error): void
  destroy(): void
}
const RequestQueue = require('kafkajs/src/network/requestQueue') as { readonly prototype: RawQueue }

export interface RawConnection {
  readonly socket?: Socket
  readonly requestQueue: RawQueue
  readonly clientId: string
  nextCorrelationId(): number
  failIfNotConnected(): void
  connect(): Promise<unknown>
  isConnected(): boolean
  isAuthenticated(): boolean
  setVersions(versions: Versions): void
  setSupportAuthenticationProtocol(supported: boolean): void
  authenticate(): Promise<void>
  send<T>(call: WireCall<T>): Promise<T>
}

export interface RawLogger {
  namespace(name: string): RawLogger
  error(message: string): void
  warn(message: string): void
  info(message: string): void
  debug(message: string): void
}

export type SocketFactory = (options: {
  host: string
  port: number
  ssl: ConnectionOptions | null
  onConnect: () => void
}) => Socket

/** A part of kafkajs' connection: the framing of answers. */
interface Framing extends RawConnection {
  /** The bytes from which on the answer is whole: its length, and the four bytes of that. */
  readonly bytesNeeded: number
  processData(bytes: Buffer): void
}

const Connection = require('kafkajs/src/network/connection') as new (options: {
  host: string
  port: number
  logger: RawLogger
  socketFactory: SocketFactory
  requestTimeout: number
  connectionTimeout: number
  enforceRequestTimeout: boolean
  clientId: string
  ssl: ConnectionOptions | null
  sasl: SASLOptions | null
}) => Framing

/** No broker has a larger record batch: `socket.request.max.bytes` is 100 MiB, and nobody has it larger. */
const MAX_ANSWER_BYTES = 120_000_000

/**
 * kafkajs waits for answers of any length, and throws from the socket's listener if a length makes no sense,
 * which would end the process. Here either ends the connection.
 */
class BoundedConnection extends Connection {
  override processData(bytes: Buffer): void {
    try {
      super.processData(bytes)
      if (this.bytesNeeded > MAX_ANSWER_BYTES) throw new Error('the broker announces too long an answer')
    } catch (error) {
      this.socket?.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }
}

const errors = require('kafkajs/src/protocol/error') as {
  errorCodes: readonly { type: string; code: number; message: string }[]
}

const protocol = require('kafkajs/src/consumer/assignerProtocol') as {
  MemberMetadata: {
    encode(metadata: { version: number; topics: readonly string[]; userData: Buffer }): Buffer
    decode(buffer: Buffer): { version: number; topics: string[]; userData: Buffer | null }
  }
  MemberAssignment: {
    encode(assignment: { version: number; assignment: Record<string, number[]> }): Buffer
    decode(buffer: Buffer): { assignment: Record<string, number[]> } | null
  }
}

export const { MemberMetadata, MemberAssignment } = protocol

/**
 * Returns the name and text of a protocol error by its number. kafkajs does not know errors that are newer
 * than itself.
 */
export function protocolErrorOf(code: number): { type: string; message: string } {
  if (code === 90) return { type: 'PRODUCER_FENCED', message: 'There is a newer producer with the same id' }
  const known = errors.errorCodes.find(entry => entry.code === code)
  return known ?? { type: `ERROR_${code}`, message: `the broker answered with error ${code}` }
}

/** Finds the builder of a request in the newest version that both sides know. */
export interface RequestBuilder {
  build<T>(name: ApiName, args: object): WireCall<T>
}

export function requestBuilder(versions: Versions): RequestBuilder {
  const find = lookup(versions)
  return {
    build: <T>(name: ApiName, args: object) => find(apiKeys[name], requests[name])(args) as WireCall<T>,
  }
}

/**
 * Returns the first request to a broker. Nothing is known about the broker yet, so the request has a version
 * that every broker knows.
 */
export function apiVersionsCall(): WireCall<{
  apiVersions: readonly { apiKey: number; minVersion: number; maxVersion: number }[]
}> {
  return requests.ApiVersions.protocol({ version: 1 })({}) as ReturnType<typeof apiVersionsCall>
}

export interface ConnectionSettings {
  readonly clientId: string
  readonly ssl: ConnectionOptions | null
  readonly sasl: SASLOptions | null
  /** Says how to set a login, as in `set SLUICE_KAFKA_SASL_MECHANISM`. */
  readonly loginHint: string
  readonly connectTimeoutMs: number
  readonly socketFactory: SocketFactory
  readonly logger: RawLogger
}

/**
 * kafkajs checks the request queue of each connection every millisecond for ever, even if it is empty. It
 * also sets timers to a negative time, about which Node warns. With this patch, kafkajs checks a queue only
 * while it has pending requests. The patch applies to all connections of kafkajs in this process, also to
 * those of its own clients in tests.
 */
const { scheduleCheckPendingRequests: scheduleCheck } = RequestQueue.prototype
RequestQueue.prototype.scheduleCheckPendingRequests = function (this: RawQueue): void {
  if (this.pending.length > 0) scheduleCheck.call(this)
}

/**
 * Returns a kafkajs connection that is not yet connected. The request time-outs of kafkajs are off, since it
 * checks them ten times a second on each connection, and keeps using a connection whose answers are late.
 */
export function rawConnection(host: string, port: number, settings: ConnectionSettings): RawConnection {
  return new BoundedConnection({
    host,
    port,
    logger: settings.logger,
    socketFactory: settings.socketFactory,
    requestTimeout: 2 ** 30,
    connectionTimeout: settings.connectTimeoutMs,
    enforceRequestTimeout: false,
    clientId: settings.clientId,
    ssl: settings.ssl,
    sasl: settings.sasl,
  })
}

/**
 * Sends a request of our own on an authenticated connection, in its queue, as `send` of kafkajs does. The
 * parts must not change until the answer is there. Throws a RangeError for an incomplete answer.
 */
export async function sendOwn<T>(raw: RawConnection, request: OwnRequest<T>): Promise<T> {
  if (!raw.isAuthenticated()) await raw.authenticate()
  raw.failIfNotConnected()
  const { apiKey, apiName, apiVersion, parts } = request
  const correlationId = raw.nextCorrelationId()
  const header = frameHeader(request, correlationId, raw.clientId)
  const { payload } = await new Promise<{ readonly payload: Buffer }>((resolve, reject) => {
    const sendRequest = (): void => {
      const { socket } = raw
      socket?.cork()
      for (const part of [header, ...parts]) socket?.write(part)
      socket?.uncork()
    }
    const entry = { apiKey, apiName, apiVersion, correlationId, resolve, reject }
    raw.requestQueue.push({ entry, expectResponse: true, requestTimeout: null, sendRequest })
  })
  const { value, throttleMs } = request.parse(payload)
  raw.requestQueue.maybeThrottle(throttleMs)
  return value
}

/**
 * Returns size, API and version, correlation id and client id:
 * https://kafka.apache.org/protocol#protocol_messages.
 */
function frameHeader(
  { apiKey, apiVersion, parts }: OwnRequest<unknown>,
  correlationId: number,
  clientId: string,
): Buffer {
  const client = Buffer.from(clientId)
  const header = Buffer.alloc(14 + client.length)
  const bytes = parts.reduce((sum, { length }) => sum + length, header.length - 4)
  header.writeInt32BE(bytes, 0)
  header.writeInt16BE(apiKey, 4)
  header.writeInt16BE(apiVersion, 6)
  header.writeInt32BE(correlationId, 8)
  header.writeInt16BE(client.length, 12)
  client.copy(header, 14)
  return header
}

/**
 * Returns a logger of kafkajs that gives errors and warnings to `debug`, since kafkajs logs each attempt that
 * it repeats.
 */
export function rawLogger(debug: ((message: string) => void) | null): RawLogger {
  const quiet = (): void => {}
  const logger: RawLogger = {
    namespace: () => logger,
    error: message => debug?.(`ERROR ${message}`),
    warn: message => debug?.(`WARN ${message}`),
    info: quiet,
    debug: quiet,
  }
  return logger
}
