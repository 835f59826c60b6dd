/**
 * The layout of a batch of records in one blob. A header has 32-bit little-endian numbers: the count, then
 * for each record its offset less the batch's base, key length, and value length. All keys and values follow.
 * A value length of all ones stands for a tombstone. A stored batch has at most CHUNK_BYTES or a single
 * record. A larger append becomes several batches in one transaction.
 */
import type { LogRecord, NewRecord } from '../../port.ts'

/**
 * The most bytes of a stored batch with more than one record. It bounds the memory of a read, and of a record
 * that a reader keeps.
 */
const CHUNK_BYTES = 128 * 1024

const TOMBSTONE = 0xffffffff
const HEADER_PER_RECORD = 12

export interface EncodedBatch {
  /** The offset of the first record, less the offset of the append's first record. */
  readonly start: number
  readonly count: number
  readonly data: Uint8Array
}

function sizeOf(record: NewRecord): number {
  return HEADER_PER_RECORD + record.key.length + (record.value?.length ?? 0)
}

/** The largest record's key and value together, in bytes; 0 without records. */
export function largestRecordBytes(records: readonly NewRecord[]): number {
  let largest = 0
  for (const record of records) largest = Math.max(largest, record.key.length + (record.value?.length ?? 0))
  return largest
}

/**
 * Copies the records into batches of at most CHUNK_BYTES, in order. So the caller may reuse its buffers at
 * once.
 */
export function encodeBatches(records: readonly NewRecord[]): EncodedBatch[] {
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
    batches.push({ start, count: slice.length, data: encode(slice, bytes) })
    start = stop
  }
  return batches
}

/** Encodes the records that compaction has left of a batch, each with its offset less the batch's base. */
export function encodeKept(records: readonly LogRecord[], base: number): Uint8Array {
  const bytes = records.reduce((sum, record) => sum + sizeOf(record), 4)
  return encode(
    records.map(({ key, value, offset }) => ({ key, value, delta: offset - base })),
    bytes,
  )
}

function encode(records: readonly (NewRecord & { delta: number })[], bytes: number): Uint8Array {
  const data = new Uint8Array(bytes)
  const header = new Uint32Array(data.buffer, 0, 1 + records.length * 3)
  header[0] = records.length
  let at = 1
  let payload = header.byteLength
  for (const { key, value, delta } of records) {
    header[at] = delta
    header[at + 1] = key.length
    header[at + 2] = value === null ? TOMBSTONE : value.length
    at += 3
    data.set(key, payload)
    payload += key.length
    if (value !== null) {
      data.set(value, payload)
      payload += value.length
    }
  }
  return data
}

/**
 * Decodes the records with `from` ≤ offset < `to`. Their buffers are slices of `data`, which no other reader
 * uses.
 */
export function decodeBatch(
  batch: { base: number; at: number; data: Uint8Array },
  range: { from: number; to: number },
): LogRecord[] {
  const { base, at: timestamp } = batch
  // A blob from SQLite has a buffer of its own, but nothing guarantees its alignment.
  const data = batch.data.byteOffset % 4 === 0 ? batch.data : new Uint8Array(batch.data)
  const count = new Uint32Array(data.buffer, data.byteOffset, 1)[0] ?? 0
  const header = new Uint32Array(data.buffer, data.byteOffset, 1 + count * 3)
  const records: LogRecord[] = []
  let payload = header.byteLength
  for (let at = 1; at < header.length; at += 3) {
    const offset = base + (header[at] ?? 0)
    const keyEnd = payload + (header[at + 1] ?? 0)
    const valueLength = header[at + 2] ?? 0
    const end = valueLength === TOMBSTONE ? keyEnd : keyEnd + valueLength
    if (offset >= range.from && offset < range.to) {
      const value = valueLength === TOMBSTONE ? null : data.subarray(keyEnd, end)
      records.push({ offset, key: data.subarray(payload, keyEnd), value, timestamp })
    }
    payload = end
  }
  return records
}
