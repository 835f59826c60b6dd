import { expect, it } from 'vitest'
import type { Checkpoint } from '@sluice/contracts/records'
import type { RecordIo } from '@sluice/topics/record-io'
import { plainMarker, type Ownership } from '@sluice/partition/take-over'
import { AttemptLedger } from './attempt-ledger.ts'

const { signal } = new AbortController()

it('names no attempts of an earlier run in its checkpoints, even of requests that were passed over', async () => {
  const checkpoints: (Checkpoint | null)[] = []
  const io: Partial<RecordIo> = {
    encode: (_name: string, value: object) => {
      if ('checkpoint' in value) checkpoints.push(value.checkpoint as Checkpoint | null)
      return new Uint8Array()
    },
  }
  const ownership = { incarnation: 'i', owner: () => 0, append: async () => ({ baseOffset: 20 }) }
  const target = { topic: 't', partition: 0 }
  const ledger = new AttemptLedger({
    ...{ io: io as RecordIo, ownership: ownership as unknown as Ownership },
    ...{ attempts: target, retry: target, captured: target },
    ...{ position: 5, run: 1, counts: {}, firstAttempts: new Map([[5, 3]]), attemptsEnd: 11, abort: signal },
  })
  // The request at offset 5, which an earlier owner has sent, is behind a gap now.
  ledger.skipTo(6)
  await ledger.mark(plainMarker('run-end', '', 0))
  ledger.skipTo(7)
  ledger.beginRun(2)
  await ledger.mark(plainMarker('run-begin', '', 0))
  expect(checkpoints).toMatchObject([
    { offset: 6, from: 3, run: 1 },
    { offset: 7, from: 21, run: 2 },
  ])
})
