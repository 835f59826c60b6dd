import type { RunEvent } from '@sluice/contracts/records'
import { sampleCounts, sampleEvent, sampleReport } from '@sluice/testkit/sample-records'
import { expect, it } from 'vitest'
import { WaitingRows } from './waiting-rows.ts'

const told = { comparing: null, read: 9, unreadable: 0, lagRecords: 0, lagMs: null, committedAt: null }

/** A stream at work, of whose rows so many tries failed. */
function stream(tries: number) {
  const at = { startedAt: 1_000, endedAt: null }
  const event: RunEvent = sampleEvent({
    ...{ runId: 'R2', run: 2, status: 'running', ...at, stream: { since: 1_000, ...told, minutes: [] } },
    counts: { changed: sampleCounts({ detected: 9 }) },
  })
  const counts = { changed: sampleCounts({ delivered: 5, rejected: tries }) }
  return { events: [event], reports: new Map([[0, sampleReport({ run: 2, ended: false, counts })]]) }
}

it('counts the rows of a stream that wait, and not the tries of each', async () => {
  const waiting = new WaitingRows()
  let rows = 0
  let counted = 0
  const ask = async (tries: number): Promise<number> => {
    const { events, reports } = stream(tries)
    const count = () => Promise.resolve(((counted += 1), rows))
    return (await waiting.of(events, reports, count)).failed
  }
  expect(await ask(0)).toBe(0)
  expect(await ask(0)).toBe(0)
  expect(counted).toBe(1)
  rows = 1
  expect(await ask(1)).toBe(1)
  expect(await ask(40)).toBe(1)
  // It is delivered at last, which no failed try tells.
  rows = 0
  expect(await ask(40)).toBe(0)
  expect(await ask(40)).toBe(0)
  expect(counted).toBe(4)
})
