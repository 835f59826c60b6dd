/**
 * The part of the codec that all adapters share. It caches encoders and types, and asks the store once if
 * several callers want the same at the same time. The adapter's store keeps the schemas.
 */
import { changeSchema, SCHEMAS } from '@sluice/contracts/avro/schemas'
import { type AvroRecordSchema, isRecordSchema, isSchema } from '@sluice/contracts/avro/types'
import { SluiceError } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import type { Compatibility, DecodeOptions, Decoded, Encoder, EncoderOptions, SchemaCodec } from '../port.ts'
import { differencesInShape } from '../compatibility.ts'
import { schemaOf, sharedType } from './avro.ts'
import type { AvscType } from './avsc.ts'
import { withEncodedRows } from './encoded-rows.ts'
import { decodeRecord, schemaIdOf, WireEncoder } from './wire.ts'

/** Gives schemas their ids. Its calls have time limits, and end at once when the signal aborts. */
export interface SchemaStore extends AsyncDisposable {
  /**
   * Registers a schema under a subject if it is not there, and resolves with its id. Throws `unreachable`,
   * and with `backward` also `schema-incompatible`.
   */
  register(
    subject: string,
    schema: AvroRecordSchema,
    options: { signal: AbortSignal; compatibility: Compatibility },
  ): Promise<number>
  /** Resolves with the type of a schema. Throws `corrupt` for an id that no schema has, and `unreachable`. */
  typeById(id: number, options: { signal: AbortSignal }): Promise<AvscType>
}

/**
 * No installation uses this many at a time. Beyond the limit, the oldest entry is dropped, and is fetched
 * again if it is needed.
 */
const MAX_ENCODERS = 1000
const MAX_TYPES = 10_000

export class AvroCodec implements SchemaCodec {
  readonly #store: SchemaStore
  readonly #closing = new AbortController()
  readonly #encoders = new Map<string, Promise<Encoder>>()
  readonly #types = new Map<number, AvscType>()
  readonly #typesAsked = new Map<number, Promise<AvscType>>()

  constructor(store: SchemaStore) {
    this.#store = store
  }

  encoder(subject: string, schema: AvroRecordSchema, options: EncoderOptions): Promise<Encoder> {
    const key = `${subject}\n${JSON.stringify(schema)}`
    const known = this.#encoders.get(key)
    if (known !== undefined) return abortable(known, options)
    // A sync uses one schema of a subject at a time. Earlier ones are fetched again if they are needed.
    for (const other of this.#encoders.keys())
      if (other.startsWith(`${subject}\n`)) this.#encoders.delete(other)
    const encoder = this.#makeEncoder(subject, schema, options.compatibility ?? 'backward')
    this.#encoders.set(key, encoder)
    limitSize(this.#encoders, MAX_ENCODERS)
    encoder.catch(() => {
      if (this.#encoders.get(key) === encoder) this.#encoders.delete(key) // The next caller tries again.
    })
    return abortable(encoder, options)
  }

  async #makeEncoder(
    subject: string,
    schema: AvroRecordSchema,
    compatibility: Compatibility,
  ): Promise<Encoder> {
    const { signal } = this.#closing
    signal.throwIfAborted()
    const id = await this.#store.register(subject, schema, { signal, compatibility })
    return new WireEncoder(id, () => sharedType(schema))
  }

  async decode(values: readonly Uint8Array[], options: DecodeOptions): Promise<readonly Decoded[]> {
    options.signal.throwIfAborted()
    for (const id of this.#unknownIds(values)) await abortable(this.#learnType(id), options)
    let id = -1
    let type: AvscType | undefined
    return values.map(value => {
      const idOfValue = schemaIdOf(value)
      if (type === undefined || idOfValue !== id) {
        id = idOfValue
        const known = this.#types.get(id)
        if (known === undefined)
          throw new SluiceError('internal', `Schema ${id} was forgotten while it was needed.`)
        type = options.rows === 'encoded' ? withEncodedRows(known) : known
      }
      return decodeRecord(type, value)
    })
  }

  #unknownIds(values: readonly Uint8Array[]): ReadonlySet<number> {
    const unknown = new Set<number>()
    let last = -1
    for (const value of values) {
      const id = schemaIdOf(value)
      if (id !== last && !this.#types.has(id)) unknown.add(id)
      last = id
    }
    return unknown
  }

  #learnType(id: number): Promise<AvscType> {
    const asked = this.#typesAsked.get(id)
    if (asked !== undefined) return asked
    const answer = this.#askForType(id).finally(() => this.#typesAsked.delete(id))
    this.#typesAsked.set(id, answer)
    return answer
  }

  async #askForType(id: number): Promise<AvscType> {
    const { signal } = this.#closing
    signal.throwIfAborted()
    const type = await this.#store.typeById(id, { signal })
    assertShape(type, id)
    this.#types.set(id, type)
    limitSize(this.#types, MAX_TYPES)
    return type
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new SluiceError('aborted', 'The schema codec is closed.'))
    await this.#store[Symbol.asyncDispose]()
  }
}

/** Drops the oldest entries until the map has at most `size`. */
function limitSize<K>(map: Map<K, unknown>, size: number): void {
  for (const first of map.keys()) {
    if (map.size <= size) return
    map.delete(first)
  }
}

/**
 * Throws `corrupt` if the type has the name of one of Sluice's records and another shape. Anybody may
 * register such a schema, and the code that reads these records relies on their shapes.
 */
function assertShape(type: AvscType, id: number): void {
  const [, name] = /^sluice\.(\w+)$/.exec(type.name ?? '') ?? []
  const ours = name === undefined ? undefined : shapeOf(name)
  const written = schemaOf(type)
  if (ours === undefined) return
  if (!isSchema(written) || !isRecordSchema(written))
    throw new SluiceError('corrupt', `Schema ${id} is no record, though it is named ${type.name ?? ''}.`)
  const [other] = differencesInShape(ours, written)
  if (other === undefined) return
  throw new SluiceError(
    'corrupt',
    `Schema ${id} is named ${type.name ?? ''} and is not Sluice's: ${other.path || 'the record'} is ${other.was}, expected ${other.becomes}.`,
  )
}

const ANY_CHANGE = changeSchema([])

function shapeOf(name: string): AvroRecordSchema | undefined {
  if (name === 'Change') return ANY_CHANGE
  return isStatic(name) ? SCHEMAS[name] : undefined
}

function isStatic(name: string): name is keyof typeof SCHEMAS {
  return Object.hasOwn(SCHEMAS, name)
}
