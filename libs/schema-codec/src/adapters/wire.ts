/** Writes and reads the Confluent wire format with avsc's types. See port.ts for the format. */
import { SluiceError } from '@sluice/contracts/errors'
import type { ColumnRows } from '@sluice/contracts/column-values'
import type { ChangeFrame, Decoded, Encoder, RowsEncoder } from '../port.ts'
import { ValueReader, type AvscType } from './avsc.ts'
import { ColumnRowsEncoder, frameOf } from './column-rows-encoder.ts'
import { labelOf } from './text-types.ts'

const MAGIC_BYTE = 0
const HEADER_BYTES = 5

/**
 * Records are encoded in the scratch buffer and copied out. It grows up to this size. A larger record gets a
 * buffer for itself.
 */
const MAX_SCRATCH_BYTES = 1 << 20
let scratch: Buffer = Buffer.allocUnsafeSlow(1 << 16)

export class WireEncoder implements Encoder {
  readonly schemaId: number
  readonly #makeType: () => AvscType
  #made: AvscType | undefined

  /**
   * The type is made at the first use, since that takes milliseconds and many processes never encode with it.
   */
  constructor(schemaId: number, makeType: () => AvscType) {
    this.schemaId = schemaId
    this.#makeType = makeType
  }

  get #type(): AvscType {
    return (this.#made ??= this.#makeType())
  }

  encode(value: object): Uint8Array {
    let buffer = scratch
    let end = this.#write(value, buffer)
    if (end < 0) {
      buffer = grown(buffer.length - end)
      end = this.#write(value, buffer)
    }
    buffer[0] = MAGIC_BYTE
    buffer.writeUInt32BE(this.schemaId, 1)
    return Buffer.copyBytesFrom(buffer, 0, end)
  }

  frame(change: object): ChangeFrame {
    const header = Buffer.alloc(HEADER_BYTES, MAGIC_BYTE)
    header.writeUInt32BE(this.schemaId, 1)
    return frameOf(this.#type, header, change)
  }

  rows(rows: ColumnRows): RowsEncoder {
    return new ColumnRowsEncoder(this.#type, rows)
  }

  #write(value: object, buffer: Buffer): number {
    try {
      return this.#type.encode(value, buffer, HEADER_BYTES)
    } catch (cause) {
      throw misfitError(this.#type, value, cause)
    }
  }
}

function grown(bytes: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)))
  if (buffer.length <= MAX_SCRATCH_BYTES) scratch = buffer
  return buffer
}

/** Reads the schema id of a record. Throws `corrupt` for bytes that are no record. */
export function schemaIdOf(bytes: Uint8Array): number {
  if (bytes.length < HEADER_BYTES || bytes[0] !== MAGIC_BYTE) {
    const start = Buffer.from(bytes.subarray(0, HEADER_BYTES)).toString('hex')
    throw new SluiceError(
      'corrupt',
      `A record does not start as Avro in the Confluent wire format does (a zero byte, then a schema id of 4 bytes): found ${bytes.length} bytes, ${start}.`,
    )
  }
  return (((bytes[1] ?? 0) << 24) | ((bytes[2] ?? 0) << 16) | ((bytes[3] ?? 0) << 8) | (bytes[4] ?? 0)) >>> 0
}

const reader = new ValueReader()

/**
 * Decodes a record of this type. Its value keeps no reference to `bytes`. Throws `corrupt` unless it takes up
 * the bytes exactly.
 */
export function decodeRecord(type: AvscType, bytes: Uint8Array): Decoded {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let value: unknown
  try {
    value = reader.read(type, buffer, HEADER_BYTES)
  } catch (cause) {
    throw corruptError(type, bytes, 'a value that its schema does not allow', cause)
  }
  if (reader.end !== bytes.length) {
    throw corruptError(
      type,
      bytes,
      reader.end < 0 ? 'an end that is missing' : 'more bytes than its schema says',
    )
  }
  return { name: type.name ?? type.typeName, value: value as object }
}

function corruptError(type: AvscType, bytes: Uint8Array, what: string, cause?: unknown): SluiceError {
  const message = `A record of ${bytes.length} bytes is no ${labelOf(type)} of schema ${schemaIdOf(bytes)}: it has ${what}.`
  return new SluiceError('corrupt', message, { cause })
}

const MAX_SHOWN_CHARACTERS = 60

/** The error with the first field that does not fit its type, the expected type, and the value. */
function misfitError(type: AvscType, value: object, cause: unknown): SluiceError {
  let where: string | undefined
  let what = ''
  const path: string[] = []
  type._check(
    value,
    0,
    (found, wanted) => {
      if (where !== undefined) return
      where = path.join('.')
      what = `expected ${labelOf(wanted)}, found ${shown(found)}`
    },
    path,
  )
  const message =
    where === undefined
      ? `A ${labelOf(type)} cannot be encoded.`
      : `A ${labelOf(type)} cannot be encoded: field ${where}: ${what}.`
  return new SluiceError('corrupt', message, {
    cause,
    details: where === undefined ? [] : [{ field: where, message: what }],
  })
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = typeof value === 'string' ? JSON.stringify(value) : textOf(value)
  const short = text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}…` : text
  return `${short} (${Array.isArray(value) ? 'array' : typeof value})`
}

function textOf(value: unknown): string {
  try {
    return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
  } catch {
    return Object.prototype.toString.call(value)
  }
}
