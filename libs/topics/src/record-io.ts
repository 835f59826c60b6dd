/** Encodes and decodes the topics' records by name, on top of the schema codec. */
import { SCHEMAS, type RecordName, type RecordTypes } from '@sluice/contracts/avro/schemas'
import type { AvroRecordSchema } from '@sluice/contracts/avro/types'
import { rowWith, type AnyRow } from '@sluice/contracts/avro/encoded-row'
import { SluiceError } from '@sluice/contracts/errors'
import type { Change } from '@sluice/contracts/records'
import type { Row } from '@sluice/contracts/values'
import type { Decoded, Encoder, SchemaCodec } from '@sluice/schema-codec/port'
import type { LogRecord, NewRecord } from '@sluice/message-log/port'
import { ForeignRecords } from './foreign-records.ts'
import type { Signatures } from './signatures.ts'
import { keyText, sharedTopics } from './topics.ts'
import { isFit, unfitTaking, withUnfit } from './unfit-values.ts'

/** A decoded record with its type; code switches over `name`. */
export type Typed<R = Row> = {
  readonly [N in RecordName]: {
    readonly name: `sluice.${N}`
    readonly value: N extends 'Change' ? Change<R> : RecordTypes[N]
  }
}[RecordName]

/** Names of the records whose schema is the same for all syncs; a change's schema depends on the model. */
export type StaticName = keyof typeof SCHEMAS

/** The signatures that a process wants, and its report of records that it does not believe. */
export interface Trust {
  readonly signatures?: Signatures | null
  readonly foreign?: ForeignRecords
}

export class RecordIo {
  readonly #codec: SchemaCodec
  readonly #prefix: string
  readonly #encoders: ReadonlyMap<StaticName, Encoder>
  /** The signatures of the topics that are signed; null if no key is set. */
  readonly signatures: Signatures | null
  /** Gets every record that is skipped. */
  readonly foreign: ForeignRecords

  private constructor(
    codec: SchemaCodec,
    prefix: string,
    options: Trust & { readonly encoders: ReadonlyMap<StaticName, Encoder> },
  ) {
    this.#codec = codec
    this.#prefix = prefix
    this.#encoders = options.encoders
    this.signatures = options.signatures ?? null
    this.foreign = options.foreign ?? new ForeignRecords()
  }

  /** Registers the schemas that all syncs share. Rejects as `SchemaCodec.encoder` does. */
  static async open(
    codec: SchemaCodec,
    prefix: string,
    options: Trust & { readonly signal: AbortSignal },
  ): Promise<RecordIo> {
    const names = Object.keys(SCHEMAS).filter(isStaticName)
    const encoders = await Promise.all(
      names.map(async name => {
        const encoder = await codec.encoder(`${prefix}.${name}`, SCHEMAS[name], options)
        return [name, encoder] as const
      }),
    )
    return new RecordIo(codec, prefix, { ...options, encoders: new Map(encoders) })
  }

  /**
   * Opens it for a process that only reads: it registers nothing, and cannot encode records that all syncs
   * share.
   */
  static reading(codec: SchemaCodec, prefix: string, trust: Trust = {}): RecordIo {
    return new RecordIo(codec, prefix, { ...trust, encoders: new Map() })
  }

  /** Adds a signature to a record of a signed topic, if a key is set. */
  signed(topic: string, record: NewRecord): NewRecord {
    if (this.signatures === null || !this.#isSigned(topic)) return record
    return { ...record, signature: this.signatures.sign(topic, record) }
  }

  /** Says why a record may not be believed; null if it may be. */
  distrust(topic: string, record: LogRecord): SluiceError | null {
    if (this.signatures === null || !this.#isSigned(topic)) return null
    if (this.signatures.verify(topic, record)) return null
    // An incarnation from before the key was set still counts. Without it, the sync would send all rows
    // again.
    if (record.signature === undefined && keyText(record.key).startsWith('incarnation/')) return null
    const what = record.signature === undefined ? 'has no signature' : 'is signed with another key'
    return new SluiceError('corrupt', `A record of ${topic} ${what}, and SLUICE_SIGNING_KEY asks for one.`)
  }

  #isSigned(topic: string): boolean {
    const { resources, definitions, commands, secrets, tests, alerts } = sharedTopics(this.#prefix)
    return [resources, definitions, commands, secrets, tests, alerts].includes(topic)
  }

  encode<N extends StaticName>(name: N, value: RecordTypes[N]): Uint8Array {
    const encoder = this.#encoders.get(name)
    if (encoder === undefined) throw new SluiceError('internal', `no schema is registered for ${name}`)
    return encoder.encode(value)
  }

  /**
   * Returns the encoder of a sync's changes. Its subject belongs to the incarnation, so a reset starts a new
   * history of columns. Columns may change their types from run to run, so any schema may follow another. A
   * row may then have values that no longer fit.
   */
  async changeEncoder(
    {
      sync,
      incarnation,
      schema,
    }: {
      readonly sync: string
      readonly incarnation: string
      readonly schema: AvroRecordSchema
    },
    options: { signal: AbortSignal },
  ): Promise<Encoder> {
    const subject = `${this.#prefix}.${sync}.${incarnation}.Change`
    return unfitTaking(await this.#codec.encoder(subject, schema, { ...options, compatibility: 'none' }))
  }

  /** Decodes records in order. A record of a name that this version does not know is `corrupt`. */
  async decode(values: readonly Uint8Array[], options: { signal: AbortSignal }): Promise<readonly Typed[]> {
    const decoded = await this.#codec.decode(values, options)
    return decoded.map(toTyped)
  }

  /** Does the same, and leaves the rows of changes encoded where that is possible. */
  async decodeKeepingRows(
    values: readonly Uint8Array[],
    options: { signal: AbortSignal },
  ): Promise<readonly Typed<AnyRow>[]> {
    const decoded = await this.#codec.decode(values, { ...options, rows: 'encoded' })
    return decoded.map(each => {
      const typed = typedOf<AnyRow>(each)
      if (typed.name !== 'sluice.Change') return typed
      const { value } = typed
      if (isFit(value)) return typed
      const { before, after, wanted = null } = value
      const rows = { before: wholeOf(before), after: wholeOf(after), wanted: wholeOf(wanted) }
      return { ...typed, value: withUnfit({ ...value, ...rows }) }
    })
  }
}

const KNOWN_NAMES: ReadonlySet<string> = new Set(
  [...Object.keys(SCHEMAS), 'Change'].map(name => `sluice.${name}`),
)

function toTyped(decoded: Decoded): Typed {
  const typed = typedOf<Row>(decoded)
  if (typed.name !== 'sluice.Change' || isFit(typed.value)) return typed
  return { ...typed, value: withUnfit(typed.value) }
}

function typedOf<R>(decoded: Decoded): Typed<R> {
  if (isTyped<R>(decoded)) return decoded
  const known = [...KNOWN_NAMES].join(', ')
  throw new SluiceError('corrupt', `a record of type ${decoded.name} is in a topic that holds ${known} only`)
}

function isTyped<R>(decoded: Decoded): decoded is Typed<R> {
  return KNOWN_NAMES.has(decoded.name)
}

function wholeOf(row: AnyRow | null): Row | null {
  return row === null ? null : rowWith(row, 'all')
}

function isStaticName(name: string): name is StaticName {
  return Object.hasOwn(SCHEMAS, name)
}
