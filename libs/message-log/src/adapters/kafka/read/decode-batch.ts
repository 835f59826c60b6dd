/**
 * Reads record batches. A batch may come from any program, since a broker checks little of what producers
 * send. So `openBatch` first checks everything in a batch. A batch that cannot be read becomes one unreadable
 * record, and reading goes on after it. Opening a batch never throws, and decompresses at most
 * `MAX_BATCH_BYTES`.
 *
 * Empty batches are read, too. The log cleaner keeps them for idempotent producers, and the reader of kafkajs
 * would stop at them for ever.
 */
import { constants, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import { RECORD_CEILING_BYTES } from '@sluice/domain/record-sizes'
import type { LogRecord } from '../../../port.ts'
import { ConnectionLost } from '../errors.ts'
import type { AbortedTransaction } from '../own-requests.ts'
import { AT, crc32c, MAGIC, SIGNATURE_HEADER } from '../record-batch.ts'

const COMPRESSION = 0x07
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const ZSTD = 4
const GZIP = 1

/**
 * The largest decompressed batch, in bytes: the largest record that a topic takes, and room for an append of
 * several records. 30 KB of zstd may decompress to 2 GB.
 */
export const MAX_BATCH_BYTES = RECORD_CEILING_BYTES + 1024 * 1024
/** The window that zstd may ask for, as a power of two. Producers use at most 8 MB. */
const ZSTD_WINDOW_LOG = 25
/**
 * A record has at least a byte each for length, attributes, time, offset, two lengths and the number of
 * headers.
 */
const LEAST_RECORD_BYTES = 7
/** The offset, length, epoch and magic byte, which all formats have at the same place. */
const HEAD_BYTES = AT.crc
const NO_BYTES = Buffer.alloc(0)

/** The place of one batch in a buffer of batches, according to its head. */
export interface Frame {
  readonly at: number
  readonly end: number
  readonly base: number
  readonly nextOffset: number
  /** False if the checksum does not fit the bytes. */
  readonly intact: boolean
  /** True if the batch is of a transaction that was aborted. */
  readonly isAborted?: boolean
}

/**
 * Returns the complete batches in an answer. The last one may be incomplete, since the broker limits the
 * bytes. A batch with a wrong checksum may also have a wrong number of records. So reading goes on at the
 * start of the next batch. Throws ConnectionLost if the bytes are no sequence of batches.
 */
export function framesOf(buffer: Buffer, from: number): readonly Frame[] {
  const frames: Frame[] = []
  let at = 0
  while (at + HEAD_BYTES <= buffer.length) {
    const length = buffer.readInt32BE(at + AT.length)
    const isCurrent = buffer.readInt8(at + AT.magic) === MAGIC
    const base = Number(buffer.readBigInt64BE(at + AT.baseOffset))
    const least = (isCurrent ? AT.records : HEAD_BYTES) - AT.leaderEpoch
    if (length < least || base < 0 || !Number.isSafeInteger(base))
      throw new ConnectionLost('the broker has sent bytes that are no record batches')
    const end = at + AT.leaderEpoch + length
    if (end > buffer.length) break
    const intact = isCurrent && buffer.readUInt32BE(at + AT.crc) === crc32c(buffer, AT.attributes + at, end)
    const last = intact ? buffer.readInt32BE(at + AT.lastOffsetDelta) : 0
    frames.push({ at, end, base, nextOffset: base + Math.max(last, 0) + 1, intact })
    at = end
  }
  return frames.map((frame, index) => {
    if (frame.intact) return frame
    const next = frames[index + 1]?.base ?? from + 1
    return { ...frame, nextOffset: Math.max(next, frame.nextOffset) }
  })
}

/**
 * Marks the batches of aborted transactions. A transaction ends with a control batch of its producer. Behind
 * that batch the producer may begin another transaction.
 */
export function markAborted(
  buffer: Buffer,
  frames: readonly Frame[],
  aborted: readonly AbortedTransaction[],
): readonly Frame[] {
  if (aborted.length === 0) return frames
  const begun = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  const open = new Set<bigint>()
  return frames.map(frame => {
    if (!frame.intact) return frame
    while (begun[0] !== undefined && begun[0].firstOffset < frame.nextOffset)
      open.add(begun.shift()?.producerId ?? -1n)
    const attributes = buffer.readInt16BE(frame.at + AT.attributes)
    const producerId = buffer.readBigInt64BE(frame.at + AT.producerId)
    if ((attributes & CONTROL) !== 0) open.delete(producerId)
    return (attributes & TRANSACTIONAL) !== 0 && open.has(producerId) ? { ...frame, isAborted: true } : frame
  })
}

/**
 * Reads the records of one batch from offset `from` on. It reads a few at a time, since records as objects
 * take several times their bytes. A control batch or an empty batch has no records to read. Keys and values
 * are copies.
 */
export interface BatchReader {
  /** The bytes that the records of the batch take. */
  readonly bytes: number
  readonly isDone: boolean
  /** Appends the next records to `into`: at most `most` of them. */
  read(into: LogRecord[], most: number): void
}

/** Opens the batch of a frame, and checks all of it. A batch that cannot be read becomes one record. */
export function openBatch(buffer: Buffer, frame: Frame, from: number): BatchReader {
  try {
    const batch = new OpenBatch(buffer, frame, from)
    batch.check()
    return batch
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    return new UnreadableBatch(frame, from, error)
  }
}

class UnreadableBatch implements BatchReader {
  readonly bytes: number
  readonly #record: LogRecord
  isDone = false

  constructor({ at, end, base }: Frame, from: number, { message, isForeign }: Unreadable) {
    this.bytes = end - at
    const place = { offset: Math.max(base, from), key: new Uint8Array(), value: null, timestamp: 0 }
    this.#record = { ...place, unreadable: { error: new SluiceError('corrupt', message), isForeign } }
  }

  read(into: LogRecord[]): void {
    into.push(this.#record)
    this.isDone = true
  }
}

/** Says why a batch cannot be read. */
class Unreadable extends Error {
  readonly isForeign: boolean

  /** A batch is foreign if its checksum is right, but no writer of Sluice makes such content. */
  constructor(message: string, { isForeign = true }: { readonly isForeign?: boolean } = {}) {
    super(message)
    this.isForeign = isForeign
  }
}

class OpenBatch implements BatchReader {
  readonly bytes: number
  readonly #from: number
  readonly #base: number
  readonly #nextOffset: number
  readonly #inLogTime: boolean
  readonly #time: number
  readonly #writer: string
  readonly #cursor: Cursor
  #left: number
  #lastOffset: number

  constructor(buffer: Buffer, frame: Frame, from: number) {
    const { at, end, base, intact, nextOffset, isAborted = false } = frame
    const magic = buffer.readInt8(at + AT.magic)
    if (magic !== MAGIC)
      throw new Unreadable(`a record batch of format ${magic} cannot be read`, { isForeign: false })
    if (!intact)
      throw new Unreadable('the checksum of a record batch does not fit its bytes', { isForeign: false })
    const attributes = buffer.readInt16BE(at + AT.attributes)
    const count = buffer.readInt32BE(at + AT.count)
    const isEmpty = (attributes & CONTROL) !== 0 || count <= 0 || isAborted
    const codec = attributes & COMPRESSION
    const stored = isEmpty ? NO_BYTES : buffer.subarray(at + AT.records, end)
    const plain = codec === 0 || isEmpty ? stored : decompress(codec, stored)
    if (!isEmpty && (plain.length > MAX_BATCH_BYTES || count > plain.length / LEAST_RECORD_BYTES))
      throw new Unreadable(`a record batch of ${plain.length} bytes claims ${count} records`)
    this.bytes = Math.max(end - at, plain.length)
    this.#from = from
    this.#base = base
    this.#nextOffset = nextOffset
    this.#inLogTime = (attributes & LOG_APPEND_TIME) !== 0
    this.#time = Number(buffer.readBigInt64BE(at + (this.#inLogTime ? AT.maxTimestamp : AT.baseTimestamp)))
    this.#writer = `${buffer.readBigInt64BE(at + AT.producerId)}/${buffer.readInt16BE(at + AT.producerEpoch)}`
    this.#cursor = new Cursor(plain)
    this.#left = isEmpty ? 0 : count
    this.#lastOffset = base - 1
  }

  get isDone(): boolean {
    return this.#left === 0
  }

  /** Checks all records without making objects. Throws Unreadable. */
  check(): void {
    const [left, lastOffset] = [this.#left, this.#lastOffset]
    while (this.#left > 0) this.#next(null)
    if (!this.#cursor.isAtEnd) throw new Unreadable('a record batch has bytes behind its last record')
    this.#cursor.at = 0
    this.#left = left
    this.#lastOffset = lastOffset
  }

  read(into: LogRecord[], most: number): void {
    for (const full = into.length + most; this.#left > 0 && into.length < full;) this.#next(into)
  }

  /**
   * Reads one record. Appends it to `into` unless `into` is null or the record comes before the first wanted
   * offset.
   */
  #next(into: LogRecord[] | null): void {
    const cursor = this.#cursor
    const stop = cursor.stop(cursor.varint())
    cursor.skip(1)
    const timestampDelta = cursor.long()
    const offset = this.#base + cursor.varint()
    if (offset <= this.#lastOffset || offset >= this.#nextOffset)
      throw new Unreadable('the offsets of a record batch are not in order')
    this.#lastOffset = offset
    this.#left -= 1
    if (into === null || offset < this.#from) {
      cursor.passBytes(stop)
      cursor.passBytes(stop)
      cursor.passHeaders(stop)
    } else {
      const key = cursor.bytes(stop)
      const value = cursor.bytes(stop)
      const signature = cursor.signature(stop)
      const timestamp = this.#inLogTime ? this.#time : this.#time + timestampDelta
      const keyed = key === null ? { key: NO_BYTES, lacksKey: true } : { key }
      const record = { offset, ...keyed, value, timestamp, writer: this.#writer }
      into.push(signature === null ? record : { ...record, signature })
    }
    if (cursor.at !== stop) throw new Unreadable('a record has another length than it says')
  }
}

function decompress(codec: number, bytes: Buffer): Buffer {
  if (codec !== GZIP && codec !== ZSTD) {
    const name = ['none', 'gzip', 'snappy', 'lz4', 'zstd'][codec] ?? String(codec)
    // If the topic's `compression.type` asks for it, a broker recompresses the batches of Sluice.
    throw new Unreadable(
      `records compressed with ${name} cannot be read, only with gzip or zstd: set the topic's compression.type to producer`,
      { isForeign: false },
    )
  }
  try {
    const maxOutputLength = MAX_BATCH_BYTES
    if (codec === GZIP) return gunzipSync(bytes, { maxOutputLength })
    const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG }
    return zstdDecompressSync(bytes, { maxOutputLength, params })
  } catch (error) {
    const why = messageOf(error)
    throw new Unreadable(
      `a compressed record batch of ${bytes.length} bytes does not become at most ${MAX_BATCH_BYTES}: ${why}`,
    )
  }
}

/** Reads within the bytes of a batch, and throws Unreadable at their end. */
class Cursor {
  readonly #buffer: Buffer
  at = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  get isAtEnd(): boolean {
    return this.at === this.#buffer.length
  }

  /** Returns the position after `length` bytes. */
  stop(length: number): number {
    if (length < 0 || length > this.#buffer.length - this.at) throw new Unreadable('a record is cut off')
    return this.at + length
  }

  skip(length: number): void {
    this.at = this.stop(length)
  }

  /** Reads a zigzag integer of 32 bits. */
  varint(): number {
    const byte = this.#buffer[this.at] ?? 0x80
    if (byte < 0x80) {
      this.at += 1
      return (byte >>> 1) ^ -(byte & 1)
    }
    const value = this.long()
    if (value < -(2 ** 31) || value >= 2 ** 31) throw new Unreadable('a length or an offset is too large')
    return value
  }

  /** Reads a zigzag integer of up to 64 bits, of which 53 are exact. */
  long(): number {
    let value = 0
    let weight = 1
    for (let bytes = 0; bytes < 10; bytes += 1) {
      const byte = this.#buffer[this.at++]
      if (byte === undefined) throw new Unreadable('a record is cut off')
      value += (byte & 0x7f) * weight
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      weight *= 0x80
    }
    throw new Unreadable('a number has more than ten bytes')
  }

  /** Reads a length and copies the bytes after it. Returns null for length −1. */
  bytes(stop: number): Buffer | null {
    const length = this.#length(stop)
    if (length === -1) return null
    const copy = Buffer.allocUnsafe(length)
    this.#buffer.copy(copy, 0, this.at, this.at + length)
    this.at += length
    return copy
  }

  /** Reads a length and skips the bytes after it. */
  passBytes(stop: number): void {
    const length = this.#length(stop)
    this.at += Math.max(length, 0)
  }

  #length(stop: number): number {
    const length = this.varint()
    if (length < -1 || length > stop - this.at)
      throw new Unreadable('a key or value is longer than its record')
    return length
  }

  /** Reads all headers of a record. Returns the first signature, or null if there is none. */
  signature(stop: number): Buffer | null {
    let found: Buffer | null = null
    for (let left = this.#headers(stop); left > 0; left -= 1) {
      const name = this.bytes(stop)
      const value = this.bytes(stop)
      if (name?.equals(SIGNATURE_HEADER) === true) found ??= value
    }
    return found
  }

  passHeaders(stop: number): void {
    for (let left = 2 * this.#headers(stop); left > 0; left -= 1) this.passBytes(stop)
  }

  #headers(stop: number): number {
    const count = this.varint()
    if (count < 0 || count > (stop - this.at) / 2) throw new Unreadable('a record claims too many headers')
    return count
  }
}
