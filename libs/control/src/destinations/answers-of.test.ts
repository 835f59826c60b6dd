import type { AttemptsSpan, RunEvent } from '@sluice/contracts/records'
import { destinationHealthOf } from '@sluice/domain/destination-health'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { sampleCounts, sampleEvent, sampleReport } from '@sluice/testkit/sample-records'
import { describe, expect, it } from 'vitest'
import { answersOf } from './answers-of.ts'

const AT = 1_000_000
const syncs = new Set(['s'])

/** A run of a model with 400 rows. */
function run(
  number: number,
  { delivered = 0, rejected = 0, unknown = 0 },
  fields: Partial<RunEvent> = {},
): RunEvent {
  const detected = delivered + rejected + unknown
  const counts = { changed: sampleCounts({ detected, delivered, rejected, unknown, attempts: detected }) }
  const status = detected === delivered ? 'success' : 'warning'
  return sampleEvent({ run: number, runId: `R${number}`, rowsRead: 400, status, counts, ...fields })
}

/** Returns how the destination is judged after the last of these runs, which sent one row a request. */
function judged(events: readonly RunEvent[], kind = 'HTTP 422', kept: readonly AttemptsSpan[] = []) {
  const last = events.at(-1)
  const { delivered = 0, rejected = 0, unknown = 0 } = last?.counts.changed ?? {}
  const isAtWork = last?.status === 'running'
  const failed = rejected + unknown
  const span = {
    ...{ from: AT, run: last?.run ?? 0, delivered, throttled: 0, latency: {} },
    ...{ rowsDelivered: delivered, rowsRejected: rejected, errors: failed === 0 ? {} : { [kind]: failed } },
  }
  const report = sampleReport({
    ...{ run: last?.run ?? 0, ended: !isAtWork },
    recent: { destination: 'api', at: AT, spans: [...kept, span], stopped: null },
  })
  const known: SyncRuns = {
    ...{ sync: 's', incarnation: 'i', marker: 0 },
    events: new Map(events.map(event => [event.runId, event])),
    reports: new Map([[0, report]]),
  }
  const answers = answersOf('api', { syncs, runs: [known] })
  const { state, reason } = destinationHealthOf({ ...answers, unusable: null, credentials: null }, AT)
  return [state, reason]
}

describe('a destination that rejects some rows', () => {
  const first = run(1, { delivered: 280, rejected: 120 })
  const again = (number: number): RunEvent => run(number, { rejected: 120 })
  const SOME = ['degraded', 'It rejected 120 of the last 400 rows: HTTP 422.']

  it('is judged by all rows, while later runs send only the rejected ones again', () => {
    expect(judged([first])[0]).toBe('degraded')
    expect(judged([first, again(2)])).toEqual(SOME)
    expect(judged([first, again(2), again(3)])).toEqual(SOME)
    const unreachable = run(3, {}, { status: 'failed', rowsRead: 0 })
    expect(judged([first, again(2), unreachable, again(4)])).toEqual(SOME)
    const few = run(1, { delivered: 390, rejected: 10 })
    expect(judged([few, run(2, { rejected: 10 })])).toEqual([
      'healthy',
      'It rejected 10 of the last 400 rows: HTTP 422.',
    ])
  })

  it('is judged so, too, if a few rows arrive beside them, or if only some of them are retried', () => {
    expect(judged([first, run(2, { delivered: 5, rejected: 120 })])).toEqual(SOME)
    const scope = { as: null, key: '7', status: null }
    expect(judged([first, run(2, { rejected: 1 }, { cause: 'retry', scope })])).toEqual(SOME)
    const last = judged([first, run(2, { rejected: 1 }, { cause: 'retry', scope }), again(3)])
    expect(last).toEqual(SOME)
  })

  it('keeps its state while the next run has sent only some of them again', () => {
    expect(judged([first, run(2, { rejected: 3 }, { status: 'running' })])).toEqual(SOME)
  })

  it('is healthy once they arrive', () => {
    expect(judged([first, again(2), run(3, { delivered: 120 })])[0]).toBe('healthy')
    expect(judged([first, again(2), run(3, { delivered: 120 }, { status: 'running' })])[0]).toBe('healthy')
    const [, reason] = judged([first, again(2), run(3, { delivered: 60, rejected: 60 })])
    expect(reason).toBe('It rejected 60 of the last 400 rows: HTTP 422.')
  })

  it('fails if it rejects other rows as well, or has taken none beside them', () => {
    expect(judged([first, run(2, { rejected: 125 })])[0]).toBe('failing')
    expect(judged([again(1), again(2)])[0]).toBe('failing')
    expect(judged([run(1, { delivered: 5, rejected: 15 }), run(2, { rejected: 15 })])).toEqual([
      'failing',
      'It rejected 15 of the last 20 rows: HTTP 422.',
    ])
  })

  it('fails if it refuses requests as such', () => {
    expect(judged([first, again(2)], 'HTTP 401')[0]).toBe('failing')
    expect(judged([first, run(2, { unknown: 120 })], 'ECONNREFUSED')[0]).toBe('failing')
  })
})
