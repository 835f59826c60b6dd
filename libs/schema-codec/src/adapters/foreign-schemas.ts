/**
 * Reads records of other programs in the Confluent wire format, with the schemas of their writers. Sluice
 * only reads the registry, and asks it for each schema once.
 */
import { Agent as HttpAgent, type ClientRequest } from 'node:http'
import { Agent as HttpsAgent, type AgentOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import { retry } from '@sluice/flow/retry'
import { avscTypes, typeForSchema, ValueReader, type AvscType, type Tap } from './avsc.ts'
import { EXACT_LONG } from './number-types.ts'
import { readText } from './text-types.ts'
import { boundedRequests, endpoint, isMissing, isTransient, statusOf } from './registry.ts'

/** Byte 0, then the schema's id in four bytes. */
const HEADER_BYTES = 5
const REQUEST_TIMEOUT_MS = 5_000
/** An answer has one schema. */
const MAX_ANSWER_CHARACTERS = 10_000_000
const RETRY_MS = 15_000
const PAUSES = { firstMs: 100, maxMs: 2_000 } as const

export type ForeignSchema =
  | { readonly kind: 'avro'; readonly id: number; readonly schema: unknown; readonly type: AvscType }
  /** The value is JSON behind the header. */
  | { readonly kind: 'json'; readonly id: number }
  | { readonly kind: 'unusable'; readonly id: number; readonly why: string }

export interface ForeignSchemasOptions {
  /** The base URL of a Confluent-compatible API, with user and password if the registry wants them. */
  readonly url: string
  readonly tls?: Pick<AgentOptions, 'ca' | 'rejectUnauthorized'>
  /** Opens a connection, and refuses private networks. Absent: the registry may be in any network. */
  readonly connect?: ((port: number, host: string) => Duplex) | undefined
}

/** A part of the client that it does not export. */
interface SchemaApi {
  readonly Schema: {
    find(request: { readonly id: number }): Promise<{ data(): unknown }>
  }
}

export class ForeignSchemas {
  readonly #api: SchemaApi
  /** The URL without user and password. */
  readonly #address: string
  readonly #known = new Map<number, ForeignSchema>()

  /** Throws `config` for a wrong URL. Connects at the first question. */
  constructor({ url, tls = {}, connect }: ForeignSchemasOptions) {
    const { host, auth } = endpoint(url)
    this.#address = host
    const agent = host.startsWith('https:')
      ? new HttpsAgent({ ...tls, keepAlive: true })
      : new HttpAgent({ keepAlive: true })
    if (connect !== undefined) guard(agent, connect)
    boundAnswers(agent)
    const registry = new SchemaRegistry({
      host,
      clientId: 'sluice',
      agent,
      retry: { retries: 0 },
      middlewares: [boundedRequests(REQUEST_TIMEOUT_MS)],
      ...(auth === undefined ? {} : { auth }),
    })
    this.#api = (registry as unknown as { readonly api: SchemaApi }).api
  }

  /** Returns a schema that was asked for before. */
  known(id: number): ForeignSchema | undefined {
    return this.#known.get(id)
  }

  /**
   * Asks for a schema. Rejects with `unreachable` if the registry does not answer, and with `config` if it
   * refuses access.
   */
  async ask(id: number, { signal }: { readonly signal: AbortSignal }): Promise<ForeignSchema> {
    const found = await this.#find(id, signal)
    this.#known.set(id, found)
    return found
  }

  async #find(id: number, signal: AbortSignal): Promise<ForeignSchema> {
    try {
      const answer = await retry(() => abortable(this.#api.Schema.find({ id }), { signal }), {
        pauses: PAUSES,
        withinMs: RETRY_MS,
        mayPass: isTransient,
        signal,
      })
      return schemaOf(id, answer.data())
    } catch (cause) {
      signal.throwIfAborted()
      if (isSluiceError(cause)) throw cause
      if (isMissing(cause))
        return { kind: 'unusable', id, why: `the registry at ${this.#address} has no schema ${id}` }
      const status = statusOf(cause)
      if (status === 401 || status === 403) {
        const message = `The schema registry at ${this.#address} denies access (${messageOf(cause)}): check user and password in \`registry\`.`
        throw new SluiceError('config', message, { cause })
      }
      const message = `The schema registry at ${this.#address} does not answer (${messageOf(cause)}).`
      throw new SluiceError('unreachable', message, { cause, retryable: true })
    }
  }
}

function guard(agent: HttpAgent, connect: (port: number, host: string) => Duplex): void {
  // An agent of HTTPS makes TLS of the socket that it is given.
  const plain: typeof agent.createConnection = options =>
    connect(Number(options.port), options.host ?? 'localhost')
  const secure = agent.createConnection.bind(agent)
  agent.createConnection =
    agent instanceof HttpsAgent
      ? (options, done) => secure({ ...options, socket: plain(options) } as never, done)
      : plain
}

/**
 * Ends a request whose answer is too long, or is not there in time. The client takes answers of any length,
 * and its time-out is one of silence. An event `timeout` makes it give up.
 */
function boundAnswers(agent: HttpAgent): void {
  const inner = agent as unknown as { addRequest(request: ClientRequest, ...rest: unknown[]): void }
  const add = inner.addRequest.bind(agent)
  inner.addRequest = (request, ...rest) => {
    const giveUp = (): boolean => request.emit('timeout')
    const timer = setTimeout(giveUp, REQUEST_TIMEOUT_MS)
    request.once('close', () => clearTimeout(timer))
    request.once('response', response => {
      let taken = 0
      response.on('data', (chunk: string | Buffer) => {
        taken += chunk.length
        if (taken <= MAX_ANSWER_CHARACTERS) return
        response.removeAllListeners('data')
        giveUp()
      })
    })
    add(request, ...rest)
  }
}

function schemaOf(id: number, answer: unknown): ForeignSchema {
  const {
    schema,
    schemaType = 'AVRO',
    references = [],
  } = answer as {
    readonly schema?: unknown
    readonly schemaType?: unknown
    readonly references?: unknown
  }
  if (schemaType === 'JSON') return { kind: 'json', id }
  if (schemaType !== 'AVRO' || typeof schema !== 'string')
    return {
      kind: 'unusable',
      id,
      why: `schema ${id} is of the kind ${String(schemaType)}, not Avro or JSON`,
    }
  if (Array.isArray(references) && references.length > 0)
    return { kind: 'unusable', id, why: `schema ${id} refers to other schemas of the registry` }
  try {
    const parsed: unknown = JSON.parse(schema)
    const whole = typeof parsed === 'string' ? { type: parsed } : parsed
    return { kind: 'avro', id, schema: parsed, type: typeForSchema(whole as object, foreignType) }
  } catch (error) {
    return { kind: 'unusable', id, why: `schema ${id} is no Avro that can be read: ${messageOf(error)}` }
  }
}

/** Whole numbers keep all their digits. Logical types are left to the caller. */
function foreignType(schema: unknown, options: object): AvscType | undefined {
  if (schema === 'long') return EXACT_LONG
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return undefined
  switch (Reflect.get(schema, 'type')) {
    case 'long':
      return EXACT_LONG
    case 'array':
      return new BoundedList(schema, options)
    case 'map':
      return new BoundedMap(schema, options)
    case 'record':
      return new BoundedRecord(schema, options)
    default:
      return undefined
  }
}

/** A record may have this many values, and some for each of its bytes. Most values have a byte at least. */
const FREE_VALUES = 10_000
const VALUES_PER_BYTE = 4
let valuesLeft = 0

/**
 * Throws for a record with more values than its bytes can be. A block could claim any number of items, and
 * records that refer to each other stand for very many values that take no bytes.
 */
function countValues(count: number): void {
  valuesLeft -= count
  if (!(valuesLeft >= 0)) throw new Error('it stands for more values than its bytes may')
}

/** Reads the number of items in the next block of an array or map. */
function readBlockSize(tap: Tap): number {
  const count = tap.readLong()
  if (count < 0) tap.skipLong()
  countValues(Math.abs(count))
  return Math.abs(count)
}

class BoundedList extends avscTypes.ArrayType {
  override _read(tap: Tap): unknown[] {
    const items: unknown[] = []
    for (let count = readBlockSize(tap); count > 0; count = readBlockSize(tap))
      for (; count > 0; count--) items.push(this.itemsType._read(tap))
    return items
  }
}

class BoundedMap extends avscTypes.MapType {
  override _read(tap: Tap): object {
    const entries: [string, unknown][] = []
    for (let count = readBlockSize(tap); count > 0; count = readBlockSize(tap))
      for (; count > 0; count--) entries.push([readText(tap), this.valuesType._read(tap)])
    return Object.fromEntries(entries)
  }
}

class BoundedRecord extends avscTypes.RecordType {
  override _createReader(): AvscType['_read'] {
    const read = super._createReader()
    const count = this.fields.length + 1
    return tap => {
      countValues(count)
      return read(tap)
    }
  }
}

/** Returns the id of the schema in front of a value; null for a value without it. */
export function schemaIdOf(bytes: Uint8Array): number | null {
  if (bytes.length < HEADER_BYTES || bytes[0] !== 0) return null
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(1)
}

/** Returns the bytes behind the schema's id. */
export function withoutHeader(bytes: Buffer): Buffer {
  return bytes.subarray(HEADER_BYTES)
}

const reader = new ValueReader()

/** Decodes a value in Avro. Throws `corrupt` for bytes that are not of the schema. */
export function readForeign(schema: ForeignSchema & { readonly kind: 'avro' }, bytes: Buffer): unknown {
  let value: unknown
  valuesLeft = FREE_VALUES + VALUES_PER_BYTE * bytes.length
  try {
    value = reader.read(schema.type, bytes, HEADER_BYTES)
  } catch (cause) {
    throw new SluiceError('corrupt', `it is not of its schema ${schema.id}: ${messageOf(cause)}`, { cause })
  }
  if (reader.end === bytes.length) return value
  const message = `it is not of its schema ${schema.id}: it ${reader.end < 0 ? 'ends too early' : 'has bytes behind its value'}`
  throw new SluiceError('corrupt', message)
}
