/**
 * Avro records in the Confluent wire format: byte 0, the schema id in 4 bytes big-endian, the Avro binary.
 * Errors are `SluiceError`s: `schema-incompatible` (names the subject, the field, its old and new type and
 * what to do), `unreachable` (after the adapter's own retries), `conflict` (others hold the file, retryable),
 * `config` (the registry refuses access, or the request), `corrupt` (bytes that are no such record). An
 * aborted signal rejects with its reason. Once the codec is disposed, a call for something that it does not
 * know yet rejects with `aborted`.
 */
import type { AvroRecordSchema } from '@sluice/contracts/avro/types'
import type { ColumnRows } from '@sluice/contracts/column-values'

/** Encodes values of one schema. Synchronous: the id is known. */
export interface Encoder {
  readonly schemaId: number
  /**
   * A buffer of its own, header included. Throws `corrupt`, naming the field's path, for a value that does
   * not fit the schema.
   */
  encode(value: object): Uint8Array
  /** For a schema of changes: what `change` has in common with others, which is all but seq, key and row. */
  frame(change: object): ChangeFrame
  /**
   * For a schema of changes: encodes such as have these rows. Throws `internal` for rows of other columns.
   */
  rows(rows: ColumnRows): RowsEncoder
}

/** What some changes have in common, in Avro: the parts before, between and behind what differs. */
export interface ChangeFrame {
  readonly parts: readonly Uint8Array[]
  /** The bytes of all parts. */
  readonly bytes: number
}

/** Encodes changes of rows that come by column, as `Encoder.encode` does, byte for byte. */
export interface RowsEncoder {
  /** The most bytes that the change of a row takes. */
  mostBytes(frame: ChangeFrame, row: number): number
  /**
   * Writes the change of a row from `at` on, header included, and returns where it ends. Throws `internal` if
   * there is no room.
   */
  write(
    into: Uint8Array,
    at: number,
    of: { readonly frame: ChangeFrame; readonly row: number; readonly seq: number },
  ): number
}

/**
 * A decoded record: the full name of its schema, and its value as a plain object with the shapes of
 * contracts/records.ts.
 */
export interface Decoded {
  readonly name: string
  readonly value: object
}

/**
 * Which schema may follow another of the same subject. `backward`: a schema that can read records of the
 * latest one (`compatibility.ts`), or that the subject has had before. `none`: any schema, since each record
 * is read with the schema that it was written with.
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
   * How the rows of changes are given. Default `decoded`. `encoded`: as `EncodedRow`s, which keep the bytes
   * of their record. Of a column that nobody reads, such a row may have a value that its schema does not
   * allow.
   */
  readonly rows?: 'decoded' | 'encoded' | undefined
}

export interface SchemaCodec extends AsyncDisposable {
  /**
   * Registers the schema under the subject, or finds it there, and returns its encoder. The encoder is cached
   * until another schema of the subject is asked for, so that a second call with the same schema needs no
   * registry. May be called concurrently.
   */
  encoder(subject: string, schema: AvroRecordSchema, options: EncoderOptions): Promise<Encoder>

  /**
   * Decodes in order, with the schemas that the values were written with. Unknown schemas are fetched once. A
   * field that the writer's schema lacks is missing in the object.
   */
  decode(values: readonly Uint8Array[], options: DecodeOptions): Promise<readonly Decoded[]>
}
