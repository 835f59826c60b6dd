/**
 * Record batches, the unit in which Kafka stores and sends records (message format 2,
 * https://kafka.apache.org/documentation/#recordbatch), as Sluice writes them. This encoder is ten times as
 * fast as the one of kafkajs. `read/decode-batch.ts` reads batches, also those of other programs.
 */
import { crc32c as checksumOf } from '@node-rs/crc32'
import { SluiceError } from '@sluice/contracts/errors'
import type { NewRecord, NewRecords, RecordBlock } from '../../port.ts'
import { countOf, isBlock } from '../../record-block.ts'

/**
 * The positions of the fields in a batch. `length` counts the bytes after itself, and the checksum covers the
 * bytes after itself.
 */
export const AT = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  count: 57,
  records: 61,
} as const
export const MAGIC = 2
/** The header of a record that carries its signature. */
export const SIGNATURE_HEADER = Buffer.from('sluice-signature')

/** The producer of a batch, by which the broker recognizes repeated and missing batches. */
export interface ProducerStamp {
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
}

/** Returns an upper bound of the bytes that the records take in a batch. */
export function encodedSize(records: NewRecords): number {
  let bytes: number = AT.records
  if (isBlock(records)) return bytes + records.bytes.length + countOf(records) * OVERHEAD_BYTES
  for (const record of records) bytes += sizeOf(record)
  return bytes
}

/**
 * The most bytes of a record besides key and value: length 5, attributes 1, timestamp 1, offset 5, two
 * lengths of 5, header count 1.
 */
const OVERHEAD_BYTES = 23

function sizeOf({ key, value, signature }: NewRecord): number {
  return OVERHEAD_BYTES + key.length + (value?.length ?? 0) + headersSize(signature)
}

/** Returns the bytes of the header with the signature, without the number of headers. */
function headersSize(signature: Uint8Array | undefined): number {
  if (signature === undefined) return 0
  const name = SIGNATURE_HEADER.length
  return varintSize(name) + name + varintSize(signature.length) + signature.length
}

/**
 * Divides the records, in order, into batches. Each batch has at most the given number of encoded bytes, or a
 * single record.
 */
export function batchesOf(records: readonly NewRecord[], mostBytes: number): readonly NewRecord[][] {
  const batches: NewRecord[][] = []
  let open: NewRecord[] = []
  let bytes: number = AT.records
  for (const record of records) {
    const size = sizeOf(record)
    if (open.length > 0 && bytes + size > mostBytes) {
      batches.push(open)
      open = []
      bytes = AT.records
    }
    open.push(record)
    bytes += size
  }
  if (open.length > 0) batches.push(open)
  return batches
}

/**
 * Returns one uncompressed batch of the records in order, all with the given time. It is written to `into`,
 * if given, which needs `encodedSize` bytes.
 */
export function encodeBatch(
  records: NewRecords,
  options: { timestampMs: number; producer: ProducerStamp | null; into?: Buffer },
): Buffer {
  const buffer = options.into ?? Buffer.allocUnsafe(encodedSize(records))
  let at: number = AT.records
  if (isBlock(records)) at = writeBlock(buffer, at, records)
  else
    records.forEach((record, index) => {
      at = writeRecord(buffer, at, { record, offsetDelta: index })
    })
  const count = countOf(records)
  const { producer } = options
  const time = BigInt(options.timestampMs)
  buffer.writeBigInt64BE(0n, AT.baseOffset)
  buffer.writeInt32BE(at - AT.leaderEpoch, AT.length)
  buffer.writeInt32BE(-1, AT.leaderEpoch)
  buffer.writeInt8(MAGIC, AT.magic)
  buffer.writeInt16BE(0, AT.attributes)
  buffer.writeInt32BE(count - 1, AT.lastOffsetDelta)
  buffer.writeBigInt64BE(time, AT.baseTimestamp)
  buffer.writeBigInt64BE(time, AT.maxTimestamp)
  buffer.writeBigInt64BE(producer?.producerId ?? -1n, AT.producerId)
  buffer.writeInt16BE(producer?.epoch ?? -1, AT.producerEpoch)
  buffer.writeInt32BE(producer?.sequence ?? -1, AT.baseSequence)
  buffer.writeInt32BE(count, AT.count)
  buffer.writeUInt32BE(crc32c(buffer, AT.attributes, at), AT.crc)
  return buffer.subarray(0, at)
}

/** Throws `internal` unless the lengths add up to the bytes of the block. */
function writeBlock(buffer: Buffer, start: number, { bytes, lengths }: RecordBlock): number {
  let at = start
  let from = 0
  for (let i = 0; i < lengths.length; i += 2) {
    const key = lengths[i] as number
    const value = lengths[i + 1] as number
    const delta = i >>> 1
    const size = 3 + varintSize(delta) + varintSize(key) + key + varintSize(value) + value
    at = writeVarint(buffer, at, size)
    buffer[at++] = 0
    buffer[at++] = 0
    at = writeVarint(buffer, at, delta)
    at = writeVarint(buffer, at, key)
    at = copyBytes(bytes, from, { into: buffer, at, length: key })
    from += key
    at = writeVarint(buffer, at, value)
    at = copyBytes(bytes, from, { into: buffer, at, length: value })
    from += value
    buffer[at++] = 0 // no headers
  }
  if (from !== bytes.length)
    throw new SluiceError('internal', `records of ${from} bytes came as a block of ${bytes.length}`)
  return at
}

/** Up to this many bytes, a loop in JavaScript is faster than a call into V8. */
const SHORT_COPY = 48

function copyBytes(
  bytes: Uint8Array,
  from: number,
  { into, at, length }: { readonly into: Buffer; readonly at: number; readonly length: number },
): number {
  if (length <= SHORT_COPY) for (let i = 0; i < length; i += 1) into[at + i] = bytes[from + i] as number
  else into.set(bytes.subarray(from, from + length), at)
  return at + length
}

function writeRecord(
  buffer: Buffer,
  start: number,
  entry: { record: NewRecord; offsetDelta: number },
): number {
  const { key, value, signature } = entry.record
  const valueLength = value === null ? -1 : value.length
  const size =
    3 + // attributes, timestamp delta 0, number of headers
    varintSize(entry.offsetDelta) +
    varintSize(key.length) +
    key.length +
    varintSize(valueLength) +
    (value?.length ?? 0) +
    headersSize(signature)
  let at = writeVarint(buffer, start, size)
  buffer[at++] = 0
  buffer[at++] = 0
  at = writeVarint(buffer, at, entry.offsetDelta)
  at = writeVarint(buffer, at, key.length)
  buffer.set(key, at)
  at += key.length
  at = writeVarint(buffer, at, valueLength)
  if (value !== null) {
    buffer.set(value, at)
    at += value.length
  }
  at = writeVarint(buffer, at, signature === undefined ? 0 : 1)
  if (signature === undefined) return at
  for (const part of [SIGNATURE_HEADER, signature]) {
    at = writeVarint(buffer, at, part.length)
    buffer.set(part, at)
    at += part.length
  }
  return at
}

const zigzag = (value: number) => ((value << 1) ^ (value >> 31)) >>> 0

function varintSize(value: number): number {
  const bits = 32 - Math.clz32(zigzag(value) | 1)
  return bits <= 7 ? 1 : bits <= 14 ? 2 : Math.ceil(bits / 7)
}

function writeVarint(buffer: Buffer, start: number, value: number): number {
  let rest = zigzag(value)
  let at = start
  while (rest > 0x7f) {
    buffer[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[at++] = rest
  return at
}

/**
 * Returns the checksum of the bytes from `start` up to `end`, as an unsigned number: CRC-32 with Castagnoli's
 * polynomial (RFC 3720, B.4), which node:zlib does not offer.
 */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  return checksumOf(bytes.subarray(start, end))
}
