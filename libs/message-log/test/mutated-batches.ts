import { gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { isSluiceError } from '@sluice/contracts/errors'
import { randomOf, seedOf } from '@sluice/testkit/seeded-random'
import { ConnectionLost } from '../src/adapters/kafka/errors.ts'
import { framesOf, MAX_BATCH_BYTES, openBatch } from '../src/adapters/kafka/read/decode-batch.ts'
import { crc32c, encodeBatch } from '../src/adapters/kafka/record-batch.ts'
import type { LogRecord, NewRecord } from '../src/port.ts'

const HEAD_BYTES = 61
const RECORDS: readonly NewRecord[] = Array.from({ length: 30 }, (_, i) => ({
  key: Buffer.from(`key-${i}`),
  value: i % 7 === 0 ? null : Buffer.alloc(i * i, i),
  ...(i % 3 === 0 ? { signature: Buffer.alloc(32, i) } : {}),
}))

function wholeBatches(): readonly Buffer[] {
  const plain = Buffer.from(encodeBatch(RECORDS, { timestampMs: 1_700_000_000_000, producer: null }))
  const packed = [gzipSync, zstdCompressSync].map((compress, index) => {
    const batch = Buffer.concat([plain.subarray(0, HEAD_BYTES), compress(plain.subarray(HEAD_BYTES))])
    batch.writeInt32BE(batch.length - 12, 8)
    batch.writeInt16BE([1, 4][index] ?? 0, 21)
    return batch
  })
  return [plain, ...packed]
}

/**
 * Mutates batches and reads them: each is the right records, or one unreadable record, or bytes that are no
 * batch. Nothing hangs, and nothing takes more memory than a batch may. A failure names its seed.
 */
export function mutatedBatches(rounds: number): void {
  test(`${rounds} mutated batches give records, or are refused`, { timeout: 600_000 }, () => {
    const seed = seedOf()
    const below = randomOf(seed)
    const batches = wholeBatches()
    for (let round = 0; round < rounds; round += 1) {
      const batch = Buffer.from(batches[below(batches.length)] ?? [])
      for (let changes = below(4); changes >= 0; changes -= 1) {
        // Lengths and counts stand at the start, so that is changed as often as all the rest.
        const at = below(2) === 0 ? below(HEAD_BYTES + 20) : below(batch.length)
        batch[at] = below(3) === 0 ? 0xff : below(256)
      }
      const isSummed = below(4) > 0
      if (isSummed) batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
      const where = `SLUICE_TEST_SEED=${seed} round ${round}`
      const before = performance.now()
      read(batch, where)
      expect(performance.now() - before, where).toBeLessThan(5_000)
    }
  })
}

function read(batch: Buffer, where: string): void {
  const into: LogRecord[] = []
  try {
    for (const frame of framesOf(batch, 0)) {
      expect(frame.nextOffset, where).toBeGreaterThan(frame.base)
      const reader = openBatch(batch, frame, 0)
      expect(reader.bytes, where).toBeLessThanOrEqual(MAX_BATCH_BYTES)
      while (!reader.isDone) reader.read(into, 3)
    }
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw new Error(where, { cause: error })
  }
  const bytes = into.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
  expect(bytes, where).toBeLessThanOrEqual(MAX_BATCH_BYTES)
  for (const { unreadable } of into)
    if (unreadable !== undefined) expect(isSluiceError(unreadable.error, 'corrupt'), where).toBe(true)
}
