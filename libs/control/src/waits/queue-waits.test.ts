import { expect, it } from 'vitest'
import type { RunEvent } from '@sluice/contracts/records'
import { sampleEvent } from '@sluice/testkit/sample-records'
import { queueWaits, turnWaits } from './queue-waits.ts'

const QUEUED = sampleEvent({ runId: 'Q', status: 'queued', run: null, queuedAt: 50_000 })
const LAST = sampleEvent({ runId: 'L', status: 'failed', run: 7, deaths: 3, endedAt: 40_000 })

function waits(event: RunEvent, others: readonly RunEvent[]): ReturnType<typeof queueWaits> {
  return queueWaits(event, { events: new Map([...others, event].map(each => [each.runId, each])) })
}

it('a queued run waits for the run at work, since it was asked for', () => {
  expect(waits(QUEUED, [{ ...LAST, status: 'running' }])).toEqual([
    { kind: 'queued', since: 50_000, until: null, detail: 'run L of this sync is under way' },
  ])
  expect(waits(QUEUED, [])).toEqual([])
})

it('a queued run waits for no pause, however many processes died at work on its sync', () => {
  expect(waits(QUEUED, [LAST])).toEqual([])
})

it('a queued run that nothing else holds up waits for its turn, which it tells after a second', () => {
  expect(turnWaits(QUEUED, 50_999)).toEqual([])
  const detail = 'the change-detector reads what was delivered so far, or compares other syncs first'
  expect(turnWaits(QUEUED, 51_000)).toEqual([{ kind: 'queued', since: 50_000, until: null, detail }])
  expect(turnWaits({ ...QUEUED, status: 'running' }, 60_000)).toEqual([])
})

it('a run that is at work, or has ended, waits in no queue', () => {
  const running = { ...QUEUED, status: 'running' } as const
  expect(waits(running, [{ ...LAST, status: 'running' }])).toEqual([])
})
