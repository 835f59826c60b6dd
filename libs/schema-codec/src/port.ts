/**
 * Avro records in the Confluent wire format: byte 0, the schema id in 4 bytes big-endian, the Avro binary.
 * Errors are `SluiceError`s:
 *
 * - `schema-incompatible`: names the subject, the field, its old and new type, and what to do.
 * - `unreachable`: the adapter's own retries failed.
 * - `conflict`: other writers hold the file; retryable.
 * - `config`: the registry refuses access, or the request.
 * - `corrupt`: bytes that are no such record.
 *
 * An aborted signal rejects with its reason. After disposal, a call that needs the store rejects with
 * `aborted`.
 */
import type { AvroRecordSchema } from '@sluice/contracts/avro/types'
import type { ColumnRows } from '@sluice/contracts/column-values'

/** Encodes values of one schema. It is synchronous, since the schema's id is known. */
export interface Encoder {
  readonly schemaId: number
  /**
   * Returns a new buffer, header included. Throws `corrupt` with the field's path for a value that does not
   * fit the schema.
   */
  encode(value: object): Uint8Array
  /**
   * Encodes all of a change but its seq, key and row. Throws `internal` for a schema that is not of changes.
   */
  frame(change: object): ChangeFrame
  /** Returns an encoder of changes with these rows. Throws `internal` if the schema has other columns. */
  rows(rows: ColumnRows): RowsEncoder
}

/** The bytes that some changes share: the parts before, between and behind seq, key and row. */
export interface ChangeFrame {
  readonly parts: readonly Uint8Array[]
  /** The bytes of all parts. */
  readonly bytes: number
}

/** Encodes changes of rows that come by column, into the same bytes as `Encoder.encode`. */
export interface RowsEncoder {
  /** Returns an upper bound of the bytes that the change of a row takes. */
  maxBytes(frame: ChangeFrame, row: number): number
  /**
   * Writes the change of a row from `at` on, header included. Returns the offset of its end. Throws
   * `internal` if there is no room.
   */
  write(
    into: Uint8Array,
    at: number,
    change: { readonly frame: ChangeFrame; readonly row: number; readonly seq: number },
  ): number
}

/** A decoded record. */
export interface Decoded {
  /** The full name of its schema. */
  readonly name: string
  /** A plain object with the shapes of contracts/records.ts. */
  readonly value: object
}

/**
 * The rule for a subject's next schema. With `backward`, it has to read records of the latest schema
 * (`compatibility.ts`), or be an earlier schema of the subject. With `none`, it may be any schema, since each
 * record is read with the schema of its writer.
 */
export type Compatibility = 'backward' | 'none'

export interface EncoderOptions {
  readonly signal: AbortSignal
  /** Default `backward`. */
  readonly compatibility?: Compatibility
}

export interface DecodeOptions {
  readonly signal: AbortSignal
  /**
   * The form of the rows of changes. Default `decoded`. With `encoded`, they are `EncodedRow`s, which keep
   * the bytes of their record. A value that the schema does not allow is then noticed only when it is read.
   */
  readonly rows?: 'decoded' | 'encoded' | undefined
}

/** The latest schema of a subject. */
export interface SubjectSchema {
  readonly subject: string
  readonly schema: AvroRecordSchema
}

export interface SchemaCodec extends AsyncDisposable {
  /**
   * Registers the schema under the subject if it is not there, and returns its encoder. The encoder is cached
   * until another schema of the subject is asked for. May be called concurrently.
   */
  encoder(subject: string, schema: AvroRecordSchema, options: EncoderOptions): Promise<Encoder>

  /**
   * Decodes in order, with the schemas of the writers. Unknown schemas are fetched once. A field that the
   * writer's schema lacks is missing in the object.
   */
  decode(values: readonly Uint8Array[], options: DecodeOptions): Promise<readonly Decoded[]>
}
