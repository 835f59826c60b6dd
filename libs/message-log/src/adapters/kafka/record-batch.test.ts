import { createRequire } from 'node:module'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import type { LogRecord, NewRecord } from '../../port.ts'
import { crc32c } from './crc32c.ts'
import { batchesOf, decodeBatch, encodeBatch, measure } from './record-batch.ts'

const require = createRequire(import.meta.url)
interface KafkajsRecord {
  offset: string
  timestamp: string
  key: Buffer
  value: Buffer | null
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

/** The head of a batch, which is all that the log cleaner leaves if all records are superseded. */
function emptied(batch: Buffer): Buffer {
  const head = Buffer.from(batch.subarray(0, 61))
  head.writeInt32BE(head.length - 12, 8)
  head.writeInt32BE(0, 57)
  return head
}

function compressed(batch: Buffer, codec: number, compress: (bytes: Buffer) => Buffer): Buffer {
  const result = Buffer.concat([batch.subarray(0, 61), compress(batch.subarray(61))])
  result.writeInt32BE(result.length - 12, 8)
  result.writeInt16BE(codec, 21)
  return result
}

function decode(batch: Buffer, from = 0): LogRecord[] {
  const into: LogRecord[] = []
  decodeBatch(batch, 0, { from, into })
  return into
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
  const into: LogRecord[] = []
  expect(decodeBatch(empty, 0, { from: 0, into })).toEqual({ end: 61, nextOffset: 12 })
  expect(into).toEqual([])
  expect(measure(Buffer.concat([empty, stored([record('c', '3')], 12)]))).toMatchObject({ nextOffset: 13 })
})

test('a batch that was cut off counts for nothing, wherever the cut is', () => {
  const whole = stored([record('a', '1')], 5)
  const next = stored([record('b', 'x'.repeat(300))], 6)
  for (let length = 0; length < next.length; length += 7) {
    const stretch = measure(Buffer.concat([whole, next.subarray(0, length)]))
    expect(stretch).toEqual({ bytes: whole.length, nextOffset: 6 })
  }
  expect(measure(next.subarray(0, 40))).toEqual({ bytes: 0, nextOffset: null })
})

test('a control batch moves the position and gives no record', () => {
  const batch = stored([record('commit', 'marker')], 3)
  batch.writeInt16BE(0x30, 21)
  const into: LogRecord[] = []
  expect(decodeBatch(batch, 0, { from: 0, into }).nextOffset).toBe(4)
  expect(into).toEqual([])
})

test('compressed batches are read, or refused by name', () => {
  const batch = stored([record('a', 'x'.repeat(1000)), record('b', null)], 8)
  for (const whole of [compressed(batch, 1, gzipSync), compressed(batch, 4, zstdCompressSync)])
    expect(decode(whole)).toEqual(decode(batch))
  expect(() => decode(compressed(batch, 2, bytes => bytes))).toThrow(/snappy.*compression\.type/)
  expect(() => decode(compressed(batch, 3, bytes => bytes))).toThrow(/lz4/)
})

test('records dated by the log have the time of their batch', () => {
  const batch = stored([record('a', '1')], 0)
  batch.writeInt16BE(0x08, 21)
  batch.writeBigInt64BE(1_800_000_000_000n, 35)
  expect(decode(batch)[0]?.timestamp).toBe(1_800_000_000_000)
})

test('the checksum is that of RFC 3720, over any stretch', () => {
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
