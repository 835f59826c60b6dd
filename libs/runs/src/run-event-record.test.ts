import { expect, it } from 'vitest'
import type { RunEvent } from '@sluice/contracts/records'
import { sampleEvent } from '@sluice/testkit/sample-records'
import { runEventRecord } from './run-event-record.ts'

/** As many bytes as the JSON of what is written. */
const io = { encode: (_name: string, value: object) => Buffer.from(JSON.stringify(value)) }

function written(event: RunEvent): unknown {
  return JSON.parse(String(runEventRecord(io, event).value))
}

it('an event stays small, however long the texts are that a source, a broker or a row puts into it', () => {
  const long = 'é'.repeat(1_000_000)
  const samples = Array.from({ length: 10 }, () => long)
  const event = sampleEvent({
    error: long,
    notices: Array.from({ length: 1_000 }, () => long),
    invalidSamples: samples.map(key => ({ key, reason: long })),
    held: { removed: 1, rows: 1, samples },
  })
  expect(runEventRecord(io, event).value?.length).toBeLessThan(250_000)
})

it('an event whose texts are of a usual length is written as it is', () => {
  const event = sampleEvent({
    error: 'HTTP 400',
    notices: ['a column is new'],
    invalidSamples: [{ key: null, reason: 'primary key column "id" is null' }],
    held: { removed: 1, rows: 1, samples: ['a'] },
  })
  expect(written(event)).toEqual(event)
})
