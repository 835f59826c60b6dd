import { describe, expect, it } from 'vitest'
import type { RunEvent } from '@sluice/contracts/records'
import { sampleCounts, sampleEvent, sampleReport } from '@sluice/testkit/sample-records'
import { neededServices, serviceWaits, type NeededService, type SeenGroup } from './service-waits.ts'

const NOBODY = new Map()
const QUEUED = sampleEvent({ status: 'queued', run: null, queuedAt: 5_000 })
const DETECTING = sampleEvent({ run: 7, partitions: 2, complete: false, counts: {} })
const PUBLISHING: RunEvent = { ...DETECTING, counts: { added: sampleCounts({ detected: 5 }) } }
const PHASES = {
  ...{ publishingFrom: 8_000, publishedAt: 9_000, renderingFrom: null, renderedAt: null },
  ...{ sendingFrom: null, sentAt: null },
}
const PUBLISHED: RunEvent = { ...PUBLISHING, complete: true, phases: PHASES }

function needed(event: RunEvent, reports: Parameters<typeof neededServices>[2] = NOBODY): string[] {
  return neededServices('p', event, reports).map(({ group }) => group)
}

function reportsOf(...ended: readonly boolean[]): Parameters<typeof neededServices>[2] {
  const phases = { renderingFrom: 1, renderedAt: 2, sendingFrom: 3 }
  return new Map(
    ended.map((each, partition) => [partition, sampleReport({ run: 7, partition, ended: each, phases })]),
  )
}

describe('a run needs', () => {
  it('the detector while it is queued, and to find what changed', () => {
    expect(needed(QUEUED)).toEqual(['p.detector'])
    expect(needed(DETECTING)).toEqual(['p.detector'])
  })

  it('all three while it publishes, and the detector no more once all is published', () => {
    expect(needed(PUBLISHING)).toEqual(['p.detector', 'p.renderer.s.i', 'p.delivery.s.i'])
    expect(needed(PUBLISHED)).toEqual(['p.renderer.s.i', 'p.delivery.s.i'])
  })

  it('no renderer once all partitions are rendered, and the detector once all are reported', () => {
    expect(needed(PUBLISHED, reportsOf(false))).toEqual(['p.renderer.s.i', 'p.delivery.s.i'])
    expect(needed(PUBLISHED, reportsOf(true, false))).toEqual(['p.delivery.s.i'])
    expect(needed(PUBLISHED, reportsOf(true, true))).toEqual(['p.detector'])
  })

  it('nobody but people to approve it, and nobody once it has ended', () => {
    for (const status of ['held', 'success', 'failed'] as const)
      expect(needed({ ...PUBLISHED, status })).toEqual([])
  })
})

describe('what a run waits for', () => {
  const detector: NeededService = { service: 'detector', group: 'd', since: 5_000 }
  const waits = (seen: Partial<SeenGroup>, now = 20_000): readonly unknown[] =>
    serviceWaits(
      [detector],
      new Map([['d', { state: 'empty', since: 10_000, isFirst: false, ...seen }]]),
      now,
    ).map(({ kind, since, detail }) => [kind, since, detail])

  it('is a service of which no process is at work, since the last one went', () => {
    expect(waits({})).toEqual([['detector', 10_000, 'no change-detector is at work: start one']])
  })

  it('is it since the run needs it, where nobody saw another state', () => {
    expect(waits({ isFirst: true })).toMatchObject([['detector', 5_000, expect.any(String)]])
    expect(waits({ since: 3_000 })).toMatchObject([['detector', 5_000, expect.any(String)]])
  })

  it('is the sharing out of partitions, while that goes on', () => {
    expect(waits({ state: 'rebalancing' })).toEqual([
      ['takeover', 10_000, 'the change-detectors share out the partitions anew'],
    ])
  })

  it('is nothing where all are at work, or nothing is known, or a service may be about to start', () => {
    expect(waits({ state: 'at-work' })).toEqual([])
    expect(serviceWaits([detector], new Map(), 20_000)).toEqual([])
    expect(waits({}, 10_999)).toEqual([])
    expect(waits({}, 11_000)).toHaveLength(1)
  })
})
