/** The codec of the distributed profile. It keeps schemas in a Confluent-compatible registry. */
import { createHash } from 'node:crypto'
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { type AvroRecordSchema, isRecordSchema, isSchema } from '@sluice/contracts/avro/types'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import { RecentMap } from '@sluice/flow/recent-map'
import { doublingPause } from '@sluice/flow/retry'
import { sleep } from '@sluice/flow/sleep'
import { incompatibilities, incompatibleError } from '../compatibility.ts'
import type { Compatibility, SchemaCodec } from '../port.ts'
import { AvroCodec, type SchemaStore } from './avro-codec.ts'
import { schemaOf, sluiceType } from './avro.ts'
import type { AvscType } from './avsc.ts'

export interface RegistryCodecOptions {
  /** The base URL of a Confluent-compatible API, with user and password if the registry wants them. */
  readonly url: string
  readonly clientId?: string
  /** The time-out of one request. Default 5 s. */
  readonly requestTimeoutMs?: number
  /** After this time, a call without an answer is `unreachable`. Default 15 s. */
  readonly deadlineMs?: number
  /** A schema may be missing for this long, since a restarted registry may still be reading. Default 5 s. */
  readonly missingForMs?: number
}

const REQUEST_TIMEOUT_MS = 5000
const DEADLINE_MS = 15_000
const MISSING_FOR_MS = 5_000
/** If the process has waited for a schema in vain, it does not wait for that schema again for this long. */
const MISSING_REMEMBERED_MS = 60_000
/**
 * Within `MISSING_REMEMBERED_MS`, the process waits in vain for at most this many schemas, since records of
 * other programs may name any schema.
 */
const MAX_VAIN_WAITS = 3
/**
 * The registry is asked again only after these times. A topic may have millions of records of a schema that
 * is missing or not ours, and a question takes as long as thousands of records. A missing schema may still
 * appear.
 */
const ASK_AGAIN_MS = { missing: 1_000, foreign: 20_000 } as const
const MAX_REFUSED = 10_000
const PAUSES = { firstMs: 100, maxMs: 2000 } as const

const CONFLICT = 409
const MAX_CONFLICTS = 3

/** Connects at the first use. Throws `config` for a wrong URL. */
export function createRegistryCodec(options: RegistryCodecOptions): SchemaCodec {
  return new AvroCodec(new RegistryStore(options))
}

class RegistryStore implements SchemaStore {
  readonly #registry: SchemaRegistry
  /** The URL without user and password. */
  readonly #address: string
  readonly #deadlineMs: number
  readonly #missingForMs: number
  /**
   * The schemas for which the process has waited in vain, by id, and until when it remembers that
   * (`performance.now`).
   */
  readonly #missingUntilMs = new Map<number, number>()
  /**
   * The schemas that cannot be used, by id, and when the registry is asked for them again
   * (`performance.now`).
   */
  readonly #unusable = new RecentMap<number, { readonly error: SluiceError; readonly untilMs: number }>({
    limit: MAX_REFUSED,
  })

  constructor({
    url,
    clientId = 'sluice',
    requestTimeoutMs,
    deadlineMs = DEADLINE_MS,
    missingForMs = MISSING_FOR_MS,
  }: RegistryCodecOptions) {
    const { host, auth } = endpoint(url)
    this.#address = host
    this.#deadlineMs = deadlineMs
    this.#missingForMs = missingForMs
    this.#registry = new SchemaRegistry(
      {
        host,
        clientId,
        retry: { retries: 0 },
        middlewares: [boundedRequests(requestTimeoutMs ?? REQUEST_TIMEOUT_MS)],
        ...(auth === undefined ? {} : { auth }),
      },
      { [SchemaType.AVRO]: { wrapUnions: 'never', typeHook: sluiceType as never } },
    )
  }

  async register(
    subject: string,
    schema: AvroRecordSchema,
    options: { signal: AbortSignal; compatibility: Compatibility },
  ): Promise<number> {
    const { compatibility } = options
    const confluent = { type: SchemaType.AVRO, schema: JSON.stringify(schema) } as const
    const known = await this.#ask(options, () => this.#registry.getRegistryIdBySchema(subject, confluent))
    if (known !== undefined) return known
    const isBackward = compatibility === 'backward'
    const latest = isBackward ? await this.#latest(subject, options) : undefined
    const found = latest === undefined ? [] : incompatibilities(schema, latest)
    if (found.length > 0) throw incompatibleError(subject, found)
    const registered = await this.#ask(options, () =>
      this.#registerAs(subject, confluent, LEVELS[compatibility]),
    ).catch((error: unknown) => {
      if (isBackward || !isRefusal(error)) throw refusedByRegistry(subject, error)
      // The registry does not allow Sluice to set the level of a subject. So each schema gets a subject of
      // its own, in which no other schema follows.
      const own = `${subject}.${createHash('sha256').update(confluent.schema).digest('hex').slice(0, 12)}`
      return this.#ask(options, () => this.#registerAlone(own, confluent))
    })
    if (registered !== undefined) return registered.id
    const message = `SLUICE_SCHEMA_REGISTRY_URL: ${this.#address} answers 404 when a schema is put there (${subject}). Expected the base URL of a Confluent-compatible API, with its path where it has one, such as /apis/ccompat/v7 of Apicurio.`
    throw new SluiceError('config', message)
  }

  /**
   * Registers a schema, and sets the level of its subject. The client registers a subject's first schema and
   * then sets the level. If the process died between the two steps, or another process is between them, the
   * level is NONE, and the client refuses the next schema. In that case, this sets the level. It also
   * replaces a level that an earlier version of Sluice set on a subject where any schema may follow.
   */
  async #registerAs(
    subject: string,
    schema: ConfluentAvro,
    compatibility: COMPATIBILITY,
  ): Promise<{ readonly id: number }> {
    const options = { subject, compatibility }
    try {
      return await this.#registry.register(schema, options)
    } catch (error) {
      const other = /\((\w+) != (\w+)\)$/.exec(messageOf(error))
      if (other?.[1] !== 'NONE' && other?.[2] !== 'NONE') throw error
    }
    await this.#api.Subject.updateConfig({ subject, body: { compatibility } })
    return this.#registry.register(schema, options)
  }

  /** Registers the only schema of a subject, whose level does not matter. */
  async #registerAlone(subject: string, { schema }: ConfluentAvro): Promise<{ readonly id: number }> {
    return (await this.#api.Subject.register({ subject, body: { schema } })).data()
  }

  get #api(): SubjectApi {
    return (this.#registry as unknown as { readonly api: SubjectApi }).api
  }

  async #latest(subject: string, options: { signal: AbortSignal }): Promise<AvroRecordSchema | undefined> {
    const id = await this.#ask(options, () => this.#registry.getLatestSchemaId(subject))
    if (id === undefined) return undefined
    const schema: unknown = schemaOf(await this.typeById(id, options))
    if (!isSchema(schema) || !isRecordSchema(schema)) {
      throw new SluiceError(
        'schema-incompatible',
        `The subject ${subject} in ${this.#address} holds no Avro record.`,
      )
    }
    return schema
  }

  /**
   * Waits a little for a missing schema. The record's writer had the id from the registry, and a registry
   * that was restarted, or follows another one, may learn of the schema later.
   */
  async typeById(id: number, options: { signal: AbortSignal }): Promise<AvscType> {
    const now = performance.now()
    const refused = this.#unusable.get(id)
    if (refused !== undefined && now < refused.untilMs) throw refused.error
    for (const [known, until] of this.#missingUntilMs) if (until <= now) this.#missingUntilMs.delete(known)
    const isKnownMissing = this.#missingUntilMs.has(id) || this.#missingUntilMs.size >= MAX_VAIN_WAITS
    const patient = { ...options, missingForMs: isKnownMissing ? 0 : this.#missingForMs }
    const type = await this.#ask(patient, () => this.#schemaOf(id)).catch((error: unknown) => {
      throw isSluiceError(error, 'corrupt') ? this.#refuse(id, error, 'foreign') : error
    })
    if (type !== undefined) return type as unknown as AvscType
    if (!isKnownMissing) this.#missingUntilMs.set(id, performance.now() + MISSING_REMEMBERED_MS)
    const message =
      `A record names schema ${id}, which the schema registry at ${this.#address} does not have: the record comes from elsewhere, or the ` +
      'registry lost its schemas.'
    throw this.#refuse(id, new SluiceError('corrupt', message), 'missing')
  }

  #refuse(id: number, error: SluiceError, why: keyof typeof ASK_AGAIN_MS): SluiceError {
    this.#unusable.set(id, { error, untilMs: performance.now() + ASK_AGAIN_MS[why] })
    return error
  }

  /**
   * Reads a schema. The schema of another program may not be Avro, or may be Avro that avsc does not accept.
   */
  async #schemaOf(id: number): Promise<unknown> {
    try {
      return await this.#registry.getSchema(id)
    } catch (cause) {
      if (statusOf(cause) !== undefined || isMissing(cause)) throw cause
      const message = `A record names schema ${id} of ${this.#address}, which is not one of Sluice's: ${messageOf(cause)}`
      throw new SluiceError('corrupt', message, { cause })
    }
  }

  /**
   * Asks the registry, and repeats the question if the registry does not answer or is in trouble. A conflict
   * may come from another process that does the same, so it is repeated, too. Returns undefined if the thing
   * is still missing after `missingForMs`.
   */
  async #ask<T>(
    options: { readonly signal: AbortSignal; readonly missingForMs?: number },
    question: () => Promise<T>,
  ): Promise<T | undefined> {
    const askedAt = performance.now()
    let conflicts = 0
    for (let failures = 1; ; failures += 1) {
      const pause = doublingPause(failures, PAUSES)
      try {
        return await abortable(question(), options)
      } catch (error) {
        options.signal.throwIfAborted()
        if (isSluiceError(error, 'corrupt')) throw error
        const mayWait = (forMs: number): boolean => performance.now() + pause <= askedAt + forMs
        if (isMissing(error)) {
          if (!mayWait(options.missingForMs ?? 0)) return undefined
        } else {
          if (statusOf(error) === CONFLICT && !isRaced(error)) conflicts += 1
          const again = isRaced(error) || (conflicts > 0 ? conflicts < MAX_CONFLICTS : isTransient(error))
          if (!again) throw this.#refused(error)
          if (!mayWait(this.#deadlineMs)) throw this.#unreachable(error)
        }
      }
      await sleep(pause, options)
    }
  }

  #unreachable(cause: unknown): SluiceError {
    const message = `The schema registry at ${this.#address} does not answer (${messageOf(cause)}), tried for ${this.#deadlineMs} ms.`
    return new SluiceError('unreachable', message, { cause, retryable: true })
  }

  #refused(cause: unknown): SluiceError {
    const status = statusOf(cause)
    if (status === CONFLICT) return new SluiceError('schema-incompatible', messageOf(cause), { cause })
    if (status === 401 || status === 403) {
      const message = `The schema registry at ${this.#address} denies access (${messageOf(cause)}): check user and password in its URL.`
      return new SluiceError('config', message, { cause })
    }
    const message = `The schema registry at ${this.#address} refuses the request: ${messageOf(cause)}.`
    return new SluiceError('config', message, { cause })
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

const LEVELS: { readonly [compatibility in Compatibility]: COMPATIBILITY } = {
  backward: COMPATIBILITY.BACKWARD,
  none: COMPATIBILITY.NONE,
}

/** True if the registry answered, and refused the request. */
function isRefusal(error: unknown): boolean {
  return isSluiceError(error, 'schema-incompatible') || isSluiceError(error, 'config')
}

interface ConfluentAvro {
  readonly type: SchemaType.AVRO
  readonly schema: string
}

/** A part of the client that it does not export. */
interface SubjectApi {
  readonly Subject: {
    register(request: {
      readonly subject: string
      readonly body: { readonly schema: string }
    }): Promise<{ data(): { readonly id: number } }>
    updateConfig(request: {
      readonly subject: string
      readonly body: { readonly compatibility: string }
    }): Promise<unknown>
  }
}

interface Endpoint {
  readonly host: string
  readonly auth: { readonly username: string; readonly password: string } | undefined
}

export function endpoint(text: string): Endpoint {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) {
    throw new SluiceError(
      'config',
      'The URL of the schema registry is wrong: expected one such as http://registry:8081.',
    )
  }
  const url = new URL(text)
  const host = `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`
  if (url.username === '') return { host, auth: undefined }
  const auth = { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
  return { host, auth }
}

type Middleware = NonNullable<ConstructorParameters<typeof SchemaRegistry>[0]['middlewares']>[number]

/** Gives requests a time-out, which the client lacks. */
export function boundedRequests(timeoutMs: number): Middleware {
  return () => ({
    prepareRequest: async next => (await next()).enhance({ timeout: timeoutMs }),
  })
}

export function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'status' in error && typeof error.status === 'number'
    ? error.status
    : undefined
}

/**
 * True if the registry may answer later. The client reports a failed connection as status 400 with this text,
 * which no registry sends.
 */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error)
  if (status === 400) return messageOf(error).includes(' - Error, status 400: ')
  return status !== undefined && (status >= 500 || status === 429 || status === 408)
}

/**
 * True if another process has just made the same thing, such as the level of a subject. Apicurio then says `A
 * rule named 'COMPATIBILITY' already exists`. Asking again finds it, however many processes start at once.
 */
function isRaced(error: unknown): boolean {
  return statusOf(error) === CONFLICT && /already exists/.test(messageOf(error))
}

/** The client hides the status 404 of one of its calls behind an error of this name. */
export function isMissing(error: unknown): boolean {
  return statusOf(error) === 404 || (error instanceof Error && error.name === 'ConfluentSchemaRegistryError')
}

/** The error for a schema that passes our own check, but not the registry's. */
function refusedByRegistry(subject: string, error: unknown): unknown {
  if (!isSluiceError(error, 'schema-incompatible')) return error
  const message =
    `The schema registry refuses the new schema of ${subject}: ${error.message}. Set the compatibility of that subject to NONE there: ` +
    'Sluice reads each record with the schema of its writer. Nothing was written.'
  return new SluiceError('schema-incompatible', message, { cause: error })
}
