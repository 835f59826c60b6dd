/**
 * The layout of a batch of records in one blob. A header has 32-bit little-endian numbers: the count, then
 * for each record its offset relative to the batch's base, its key length, and its value length. All keys and
 * values follow. A value length of all ones stands for a tombstone. If the highest bit of a key length is
 * set, a signature follows the value, with its length in one byte before it. A stored batch has at most
 * CHUNK_BYTES or a single record. A larger append becomes several batches in one transaction.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { LogRecord, NewRecord, NewRecords, RecordBlock } from '../../port.ts'
import { isBlock } from '../../record-block.ts'
import type { SpareBuffers } from '../spare-buffers.ts'

/**
 * The largest stored batch with more than one record, in bytes. It bounds the memory of a read, and of a
 * record that a reader keeps.
 */
const CHUNK_BYTES = 128 * 1024

const TOMBSTONE = 0xffffffff
const SIGNED = 0x80000000
const HEADER_PER_RECORD = 12

export interface EncodedBatch {
  /** The offset of the batch's first record, relative to the append's first record. */
  readonly start: number
  readonly count: number
  readonly data: Uint8Array
  /** The buffer behind `data`. It goes back to the spare buffers. */
  readonly room: Buffer
}

function sizeOf(record: NewRecord): number {
  const signature = record.signature === undefined ? 0 : 1 + record.signature.length
  return HEADER_PER_RECORD + record.key.length + (record.value?.length ?? 0) + signature
}

/** Returns the size of the largest record, key and value together, in bytes; 0 without records. */
export function largestRecordBytes(records: NewRecords): number {
  let largest = 0
  if (isBlock(records)) {
    const { lengths } = records
    for (let i = 0; i < lengths.length; i += 2)
      largest = Math.max(largest, (lengths[i] ?? 0) + (lengths[i + 1] ?? 0))
    return largest
  }
  for (const record of records) largest = Math.max(largest, record.key.length + (record.value?.length ?? 0))
  return largest
}

/**
 * Copies the records into batches of at most CHUNK_BYTES, in order, so that the caller may reuse its buffers
 * at once.
 */
export function encodeBatches(records: NewRecords, spare: SpareBuffers): EncodedBatch[] {
  if (isBlock(records)) return [...blockBatches(records, spare)]
  const batches: EncodedBatch[] = []
  let start = 0
  while (start < records.length) {
    let bytes = 4
    let stop = start
    for (; stop < records.length; stop += 1) {
      const record = records[stop]
      if (record === undefined) break
      const size = sizeOf(record)
      if (stop > start && bytes + size > CHUNK_BYTES) break
      bytes += size
    }
    const slice = records.slice(start, stop).map((record, index) => ({ ...record, delta: index }))
    const room = spare.take(bytes)
    batches.push({ start, count: slice.length, data: encode(slice, room.subarray(0, bytes)), room })
    start = stop
  }
  return batches
}

/** Throws `internal` unless the lengths add up to the bytes of the block. */
function* blockBatches({ bytes, lengths }: RecordBlock, spare: SpareBuffers): Generator<EncodedBatch> {
  let from = 0
  for (let start = 0; start < lengths.length;) {
    let size = 0
    let stop = start
    for (; stop < lengths.length; stop += 2) {
      const record = (lengths[stop] ?? 0) + (lengths[stop + 1] ?? 0)
      const overhead = ((stop - start) / 2 + 1) * HEADER_PER_RECORD
      if (stop > start && 4 + overhead + size + record > CHUNK_BYTES) break
      size += record
    }
    const count = (stop - start) / 2
    const header = new Uint32Array(1 + count * 3)
    const room = spare.take(header.byteLength + size)
    const data = room.subarray(0, header.byteLength + size)
    header[0] = count
    for (let i = 0; i < count; i += 1) {
      header[i * 3 + 1] = i
      header[i * 3 + 2] = lengths[start + i * 2] ?? 0
      header[i * 3 + 3] = lengths[start + i * 2 + 1] ?? 0
    }
    // Keys and values have the same layout in a batch as in a block, so they are copied as they are.
    data.set(new Uint8Array(header.buffer))
    data.set(bytes.subarray(from, from + size), header.byteLength)
    yield { start: start / 2, count, data, room }
    from += size
    start = stop
  }
  if (from !== bytes.length)
    throw new SluiceError('internal', `records of ${from} bytes came as a block of ${bytes.length}`)
}

/** Encodes the records that compaction keeps of a batch. Their offsets are relative to the batch's base. */
export function encodeKept(records: readonly LogRecord[], base: number): Uint8Array {
  const bytes = records.reduce((sum, record) => sum + sizeOf(record), 4)
  return encode(
    records.map(({ offset, ...record }) => ({ ...record, delta: offset - base })),
    new Uint8Array(bytes),
  )
}

function encode(records: readonly (NewRecord & { delta: number })[], data: Uint8Array): Uint8Array {
  const header = new Uint32Array(1 + records.length * 3)
  header[0] = records.length
  let at = 1
  let payload = header.byteLength
  for (const { key, value, signature, delta } of records) {
    header[at] = delta
    header[at + 1] = signature === undefined ? key.length : key.length + SIGNED
    header[at + 2] = value === null ? TOMBSTONE : value.length
    at += 3
    data.set(key, payload)
    payload += key.length
    if (value !== null) {
      data.set(value, payload)
      payload += value.length
    }
    if (signature === undefined) continue
    data[payload] = signature.length
    data.set(signature, payload + 1)
    payload += 1 + signature.length
  }
  data.set(new Uint8Array(header.buffer))
  return data
}

/**
 * Decodes the records with `from` ≤ offset < `to`. Their buffers are slices of `data`, which no other reader
 * uses. A batch whose lengths do not fit its bytes becomes one unreadable record.
 */
export function decodeBatch(
  batch: { base: number; last: number; at: number; data: Uint8Array },
  range: { from: number; to: number },
): LogRecord[] {
  const records = decoded(batch, range)
  if (records !== null) return records
  const offset = Math.max(batch.base, range.from)
  if (offset >= range.to) return []
  const error = new SluiceError('corrupt', "a batch in the log's file has other lengths than it says")
  return [
    {
      ...{ offset, key: new Uint8Array(), value: null, timestamp: batch.at },
      unreadable: { error, isForeign: false },
    },
  ]
}

/** Returns null if the lengths do not fit. */
function decoded(
  batch: { base: number; last: number; at: number; data: Uint8Array },
  range: { from: number; to: number },
): LogRecord[] | null {
  const { base, last, at: timestamp } = batch
  // A blob from SQLite has a buffer of its own, but may not be aligned to 32 bits. Then it is copied. The
  // result is a Buffer, since decoders read Buffers.
  const { buffer, byteOffset, length } = batch.data
  const data = byteOffset % 4 === 0 ? Buffer.from(buffer, byteOffset, length) : Buffer.from(batch.data)
  const count = data.length < 4 ? 0 : (new Uint32Array(data.buffer, data.byteOffset, 1)[0] ?? 0)
  if (count === 0 || count > (data.length - 4) / HEADER_PER_RECORD) return null
  const header = new Uint32Array(data.buffer, data.byteOffset, 1 + count * 3)
  const records: LogRecord[] = []
  let payload = header.byteLength
  for (let at = 1; at < header.length; at += 3) {
    const offset = base + (header[at] ?? 0)
    const keyLength = header[at + 1] ?? 0
    const isSigned = keyLength >= SIGNED
    const keyEnd = payload + (isSigned ? keyLength - SIGNED : keyLength)
    const valueLength = header[at + 2] ?? 0
    const valueEnd = valueLength === TOMBSTONE ? keyEnd : keyEnd + valueLength
    const end = isSigned ? valueEnd + 1 + (data[valueEnd] ?? 0) : valueEnd
    if (end > data.length || offset > last) return null
    if (offset >= range.from && offset < range.to) {
      const value = valueLength === TOMBSTONE ? null : data.subarray(keyEnd, valueEnd)
      const signature = isSigned ? { signature: data.subarray(valueEnd + 1, end) } : {}
      records.push({ offset, key: data.subarray(payload, keyEnd), value, timestamp, ...signature })
    }
    payload = end
  }
  return payload === data.length ? records : null
}
