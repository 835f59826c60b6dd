import { createRequire } from 'node:module'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import type { LogRecord, NewRecord, RecordBlock } from '../../port.ts'
import { ConnectionLost } from './errors.ts'
import { framesOf, MAX_BATCH_BYTES, openBatch } from './read/decode-batch.ts'
import { batchesOf, crc32c, encodeBatch, encodedSize } from './record-batch.ts'

const require = createRequire(import.meta.url)
interface KafkajsRecord {
  offset: string
  timestamp: string
  key: Buffer
  value: Buffer | null
  headers: Record<string, Buffer>
}
const KafkajsDecoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => object
const kafkajsDecode = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (decoder: object) => Promise<{
  records: KafkajsRecord[]
  producerId: string
  producerEpoch: number
  firstSequence: number
}>

const timestampMs = 1_700_000_000_123

/** A batch as the broker stores it: at an offset of its own. */
function stored(records: readonly NewRecord[], baseOffset: number): Buffer {
  const batch = Buffer.from(encodeBatch(records, { timestampMs, producer: null }))
  batch.writeBigInt64BE(BigInt(baseOffset), 0)
  return batch
}

/** The batch with the checksum that its bytes have now, as another program would write it. */
function summed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
  return batch
}

/** The head of a batch, which is all that the log cleaner leaves if all records are superseded. */
function emptied(batch: Buffer): Buffer {
  const head = Buffer.from(batch.subarray(0, 61))
  head.writeInt32BE(head.length - 12, 8)
  head.writeInt32BE(0, 57)
  return summed(head)
}

function compressed(batch: Buffer, codec: number, compress: (bytes: Buffer) => Buffer): Buffer {
  const result = Buffer.concat([batch.subarray(0, 61), compress(batch.subarray(61))])
  result.writeInt32BE(result.length - 12, 8)
  result.writeInt16BE(codec, 21)
  return summed(result)
}

function decode(batch: Buffer, from = 0): LogRecord[] {
  const into: LogRecord[] = []
  for (const frame of framesOf(batch, from)) {
    const reader = openBatch(batch, frame, from)
    while (!reader.isDone) reader.read(into, 2)
  }
  return into
}

/** The same records as a block. */
function blockOf(records: readonly NewRecord[]): RecordBlock {
  const parts = records.flatMap(({ key, value }) => [key, value ?? new Uint8Array()])
  return { bytes: Buffer.concat(parts), lengths: Uint32Array.from(parts, ({ length }) => length) }
}

/** Returns the error of the one batch in these bytes. */
function faultOf(batch: Buffer): string {
  const found = decode(batch)
  const [only] = found
  expect(found).toHaveLength(1)
  expect([only?.key.length, only?.value, only?.unreadable?.error.code]).toEqual([0, null, 'corrupt'])
  return `${only?.unreadable?.isForeign === true ? 'foreign' : 'perhaps ours'}: ${only?.unreadable?.error.message ?? ''}`
}

const record = (key: string, value: string | null): NewRecord => ({
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
})

const sizes = [0, 1, 63, 64, 127, 128, 8191, 8192, 70_000, 1_100_000]
const awkward = [
  record('', ''),
  record('tombstone', null),
  record('ümlaut', '☂'),
  ...sizes.map(size => ({ key: Buffer.alloc(Math.min(size, 9000), 1), value: Buffer.alloc(size, 2) })),
]

test('kafkajs reads every field as it was written', async () => {
  const producer = { producerId: 2n ** 40n + 7n, epoch: 12, sequence: 345_678 }
  const batch = encodeBatch(awkward, { timestampMs, producer })
  const read = await kafkajsDecode(new KafkajsDecoder(Buffer.from(batch)))
  expect(read).toMatchObject({ producerId: '1099511627783', producerEpoch: 12, firstSequence: 345_678 })
  expect(read.records.map(({ offset }) => Number(offset))).toEqual(awkward.map((_, i) => i))
  for (const [i, { key, value, timestamp }] of read.records.entries()) {
    expect(Buffer.compare(key, awkward[i]?.key ?? Buffer.alloc(0))).toBe(0)
    expect(value?.length ?? null).toBe(awkward[i]?.value?.length ?? null)
    expect(timestamp).toBe(String(timestampMs))
  }
})

test('records are read back as they were written, from any offset on', () => {
  const batch = stored(awkward, 2 ** 40)
  const all = decode(batch)
  expect(all.map(({ offset }) => offset)).toEqual(awkward.map((_, i) => 2 ** 40 + i))
  expect(all.map(({ value }) => value && Buffer.from(value))).toEqual(awkward.map(({ value }) => value))
  expect(decode(batch, 2 ** 40 + 3).map(({ offset }) => offset)).toEqual(
    all.slice(3).map(({ offset }) => offset),
  )
})

test('records do not share memory with the batch that they came from', () => {
  const batch = stored([record('key', 'value')], 0)
  const [read] = decode(batch)
  batch.fill(0)
  expect(Buffer.from(read?.key ?? []).toString()).toBe('key')
  expect(Buffer.from(read?.value ?? []).toString()).toBe('value')
})

test('an emptied batch moves the position and gives no record', () => {
  const empty = emptied(stored([record('a', '1'), record('b', '2')], 10))
  expect(framesOf(empty, 10)).toMatchObject([{ end: 61, nextOffset: 12, intact: true }])
  expect(decode(empty)).toEqual([])
  expect(framesOf(Buffer.concat([empty, stored([record('c', '3')], 12)]), 10)[1]?.nextOffset).toBe(13)
})

test('a batch that was cut off counts for nothing, wherever the cut is', () => {
  const whole = stored([record('a', '1')], 5)
  const next = stored([record('b', 'x'.repeat(300))], 6)
  for (let length = 0; length < next.length; length += 7) {
    const frames = framesOf(Buffer.concat([whole, next.subarray(0, length)]), 5)
    expect(frames).toMatchObject([{ end: whole.length, nextOffset: 6 }])
  }
  expect(framesOf(next.subarray(0, 40), 6)).toEqual([])
})

test('a control batch moves the position and gives no record', () => {
  const batch = stored([record('commit', 'marker')], 3)
  batch.writeInt16BE(0x30, 21)
  expect(framesOf(summed(batch), 3)[0]?.nextOffset).toBe(4)
  expect(decode(batch)).toEqual([])
})

test('compressed batches are read, or refused by name', () => {
  const batch = stored([record('a', 'x'.repeat(1000)), record('b', null)], 8)
  for (const whole of [compressed(batch, 1, gzipSync), compressed(batch, 4, zstdCompressSync)])
    expect(decode(whole)).toEqual(decode(batch))
  expect(faultOf(compressed(batch, 2, bytes => bytes))).toMatch(/^perhaps ours: .*snappy.*compression\.type/)
  expect(faultOf(compressed(batch, 3, bytes => bytes))).toMatch(/^perhaps ours: .*lz4/)
})

test('records dated by the log have the time of their batch', () => {
  const batch = stored([record('a', '1')], 0)
  batch.writeInt16BE(0x08, 21)
  batch.writeBigInt64BE(1_800_000_000_000n, 35)
  expect(decode(summed(batch))[0]?.timestamp).toBe(1_800_000_000_000)
})

test('the checksum is that of RFC 3720, over any range', () => {
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a9136aa)
  const bytes = Buffer.from(Array.from({ length: 100 }, (_, i) => (i * 31) & 0xff))
  expect(crc32c(bytes, 7, 92)).toBe(crc32c(Buffer.from(bytes.subarray(7, 92)), 0, 85))
})

test('records are divided in order into batches of limited bytes, which only a single record may exceed', () => {
  const sizes = [0, 10, 5_000, 400, 400, 1, 9_000, 20_000, 1, 1, 9_800]
  const records = sizes.map((size, i) => ({ key: Buffer.from(`${i}`), value: Buffer.alloc(size) }))
  const tiny = Array.from({ length: 2_000 }, (_, i) => ({ key: Buffer.from(`t${i}`), value: null }))
  const all = [...records, ...tiny]
  const batches = batchesOf(all, 10_000)
  expect(batches.flat()).toEqual(all)
  for (const batch of batches) {
    const bytes = encodeBatch(batch, { timestampMs, producer: null }).length
    expect(batch.length === 1 || bytes <= 10_000).toBe(true)
  }
  expect(batches.length).toBeLessThan(14)
  expect(batchesOf([], 10_000)).toEqual([])
})

test('a signature travels in a header, and kafkajs reads it there', async () => {
  const signature = Buffer.alloc(32, 7)
  const signed = { ...record('a', '1'), signature }
  const batch = stored([signed, record('b', '2')], 0)
  const read = await kafkajsDecode(new KafkajsDecoder(Buffer.from(batch)))
  expect(read.records.map(({ headers }) => headers)).toEqual([{ 'sluice-signature': signature }, {}])
  expect(decode(batch).map(each => each.signature)).toEqual([signature, undefined])
})

test('records of one producer name the same writer, and those of another do not', () => {
  const by = (producerId: bigint, epoch: number): string | undefined =>
    decode(
      Buffer.from(
        encodeBatch([record('a', '1')], { timestampMs, producer: { producerId, epoch, sequence: 0 } }),
      ),
    )[0]?.writer
  expect(by(7n, 1)).toBe(by(7n, 1))
  expect(
    new Set([by(7n, 1), by(7n, 2), by(8n, 1), decode(stored([record('a', '1')], 0))[0]?.writer]).size,
  ).toBe(4)
})

test('a few bytes that stand for gigabytes are refused, and cost no more than the limit', () => {
  const batch = stored([record('a', '1')], 0)
  const bomb = Buffer.alloc(MAX_BATCH_BYTES + 1)
  for (const [codec, compress] of [
    [1, gzipSync],
    [4, zstdCompressSync],
  ] as const) {
    const whole = compressed(batch, codec, () => compress(bomb))
    expect(whole.length).toBeLessThan(30_000)
    const before = process.memoryUsage().rss
    expect(faultOf(whole)).toMatch(/^foreign: .*at most/)
    expect(process.memoryUsage().rss - before).toBeLessThan(4 * MAX_BATCH_BYTES)
  }
})

test('a zstd frame that asks for a window of its own size gets none beyond 32 MB', () => {
  const params = { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 }
  const wide = (bytes: Buffer): Buffer => zstdCompressSync(bytes, { params })
  const frame = wide(Buffer.alloc(100))
  frame[5] = (27 - 10) << 3
  expect(faultOf(compressed(stored([record('a', '1')], 0), 4, () => frame))).toMatch(/^foreign: /)
})

test('a batch whose bytes were damaged is unreadable, and reading goes on behind it', () => {
  const damaged = stored([record('a', '1'), record('b', '2')], 4)
  damaged[70] = (damaged[70] ?? 0) ^ 1
  expect(faultOf(damaged)).toMatch(/^perhaps ours: .*checksum/)
  const next = stored([record('c', '3')], 6)
  const found = decode(Buffer.concat([stored([record('z', '0')], 3), damaged, next]), 3)
  expect(found.map(({ offset, unreadable }) => [offset, unreadable !== undefined])).toEqual([
    [3, false],
    [4, true],
    [6, false],
  ])
  // How many records the damaged batch has is damaged, too, perhaps.
  damaged.writeInt32BE(2 ** 30, 23)
  expect(framesOf(Buffer.concat([damaged, next]), 4).map(({ nextOffset }) => nextOffset)).toEqual([6, 7])
  expect(framesOf(damaged, 4).map(({ nextOffset }) => nextOffset)).toEqual([5])
})

test('lengths, counts and offsets that lie are refused, and take no memory', () => {
  const lying = (change: (batch: Buffer) => void): string => {
    const batch = stored([record('key', 'value'), record('b', '2')], 0)
    change(batch)
    return faultOf(summed(batch))
  }
  expect(lying(batch => batch.writeInt32BE(2 ** 31 - 1, 57))).toMatch(/^foreign: .*claims/)
  expect(lying(batch => batch.writeInt32BE(3, 57))).toMatch(/^foreign: .*cut off/)
  expect(lying(batch => batch.writeInt32BE(1, 57))).toMatch(/^foreign: .*behind its last record/)
  expect(lying(batch => batch.writeInt32BE(0, 23))).toMatch(/^foreign: .*not in order/)
  // The first record has: its length, its offset, the length of its key, and of its value.
  for (const at of [61, 64, 65, 69])
    for (const byte of [0x01, 0x03, 0x7e, 0xff])
      expect(lying(batch => batch.writeUInt8(byte, at))).toMatch(/^foreign: /)
  expect(lying(batch => batch.fill(0xff, 61))).toMatch(/^foreign: .*ten bytes/)
})

test('bytes that are no batches are taken for a connection that is broken', () => {
  for (const [length, base] of [
    [0, 0],
    [-12, 0],
    [10, 0],
    [49, -1],
  ] as const) {
    const batch = stored([record('a', '1')], 0)
    batch.writeInt32BE(length, 8)
    batch.writeBigInt64BE(BigInt(base), 0)
    expect(() => framesOf(batch, 0)).toThrow(ConnectionLost)
  }
})

test('a block of records becomes the batch that its records become, in any buffer that has room', () => {
  const records = [...sizes.slice(0, 9).map(size => record(`key-${size}`, 'v'.repeat(size))), record('', '')]
  const many = Array.from({ length: 300 }, (_, i) => record('k'.repeat(i), `value ${i}`))
  for (const each of [records, many]) {
    const options = { timestampMs, producer: { producerId: 7n, epoch: 1, sequence: 9 } }
    const block = blockOf(each)
    const into = Buffer.alloc(encodedSize(block) + 1000, 0xff)
    const wanted = encodeBatch(each, options)
    expect(encodeBatch(block, options).equals(wanted)).toBe(true)
    expect(encodeBatch(block, { ...options, into }).equals(wanted)).toBe(true)
  }
})

test('a block whose lengths do not add up to its bytes is refused', () => {
  const { bytes, lengths } = blockOf([record('a', 'bc')])
  const encode = (block: RecordBlock) => () => encodeBatch(block, { timestampMs, producer: null })
  expect(encode({ bytes: bytes.subarray(0, 2), lengths })).toThrow('as a block of 2')
  expect(encode({ bytes: Buffer.concat([bytes, bytes]), lengths })).toThrow('as a block of 6')
})
