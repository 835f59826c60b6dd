import { expect, it } from 'vitest'
import type { Attempt, Checkpoint } from '@sluice/contracts/records'
import type { RecordIo } from '@sluice/topics/record-io'
import { plainMarker, type Ownership } from '@sluice/partition/take-over'
import { sampleAttempt } from '@sluice/testkit/sample-records'
import { AttemptLedger } from './attempt-ledger.ts'

const { signal } = new AbortController()

/** A ledger that goes on at offset 5 of the requests, and the records that it encodes. */
function ledgerAt5(): {
  readonly ledger: AttemptLedger
  readonly written: readonly Partial<Attempt & { readonly checkpoint: Checkpoint | null }>[]
} {
  const written: Partial<Attempt>[] = []
  const io: Partial<RecordIo> = {
    encode: (_name: string, value: object) => {
      written.push(value)
      return new Uint8Array()
    },
  }
  const ownership = { incarnation: 'i', markerOffset: () => 0, append: async () => ({ baseOffset: 20 }) }
  const target = { topic: 't', partition: 0 }
  const ledger = new AttemptLedger({
    ...{ io: io as RecordIo, ownership: ownership as unknown as Ownership },
    ...{ attempts: target, retry: target, captured: target },
    ...{ position: 5, run: 1, counts: {}, firstAttempts: new Map([[5, 3]]), attemptsEnd: 11, abort: signal },
  })
  return { ledger, written }
}

it('names no attempts of an earlier run in its checkpoints, even of requests that were passed over', async () => {
  const { ledger, written } = ledgerAt5()
  // The request at offset 5, which an earlier owner has sent, is behind a gap now.
  ledger.skipTo(6)
  await ledger.mark(plainMarker('run-end', '', 0))
  ledger.skipTo(7)
  ledger.beginRun(2)
  await ledger.mark(plainMarker('run-begin', '', 0))
  expect(written.map(({ checkpoint }) => checkpoint)).toMatchObject([
    { offset: 6, from: 3, run: 1 },
    { offset: 7, from: 21, run: 2 },
  ])
})

it.each([
  ['in the order of the topic', [[5], [6, 7], [8]]],
  ['in another order', [[7, 5], [8], [6]]],
  ['all at once', [[8, 7, 6, 5]]],
])(
  'leaves the request of each attempt to the successor, which so opens its run again: finished %s',
  async (_, appends) => {
    const { ledger, written } = ledgerAt5()
    for (const offset of [5, 6, 7, 8]) ledger.start(offset)
    for (const offsets of appends) {
      const before = written.length
      for (const requestOffset of offsets)
        ledger.record({
          ...{ requestOffset, attempt: sampleAttempt({ requestOffset }), release: null },
          effects: { retry: [], captured: [], counts: {} },
        })
      await ledger.flushed({ signal })
      const last = written.at(-1)?.checkpoint
      expect(written.slice(before)).toHaveLength(offsets.length)
      expect(last?.offset).toBeLessThanOrEqual(Math.min(...offsets))
    }
    // Only what comes later may say that all are finished.
    await ledger.mark(plainMarker('run-end', '', 0))
    expect(written.at(-1)?.checkpoint?.offset).toBe(9)
  },
)
