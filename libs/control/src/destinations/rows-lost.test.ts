/** A destination that takes nothing new, while as many rows fail as before, or fewer. */
import { sampleCounts, sampleEvent, sampleReport } from '@sluice/testkit/sample-records'
import { destinationHealthOf } from '@sluice/domain/destination-health'
import type { FailedRows, RunEvent } from '@sluice/contracts/records'
import { expect, it } from 'vitest'
import { answersOf } from './answers-of.ts'

const AT = 1_000_000
function run(number: number, { delivered = 0, rejected = 0 }, fields: Partial<RunEvent> = {}): RunEvent {
  const detected = delivered + rejected
  const counts = { changed: sampleCounts({ detected, delivered, rejected, attempts: detected }) }
  const status = detected === delivered ? 'success' : 'warning'
  return sampleEvent({ run: number, runId: `R${number}`, rowsRead: 400, status, counts, ...fields })
}

const failure = (rows: number, again: number): FailedRows => ({
  ...{ outcome: 'rejected', status: 422, error: 'no e-mail', key: '1', since: AT, rows, retried: 0, again },
})

/** Returns how the destination is judged after the last of these runs. */
function judged(events: readonly RunEvent[], failures: readonly FailedRows[] = []) {
  const { run: number = 0, counts } = events.at(-1) ?? {}
  const { delivered = 0, rejected = 0 } = counts?.changed ?? {}
  const span = {
    ...{ from: AT, run: number ?? 0, delivered, throttled: 0, latency: {} },
    ...{ rowsDelivered: delivered, rowsRejected: rejected, errors: { 'HTTP 422': rejected } },
  }
  const report = sampleReport({
    ...{ run: number ?? 0, ended: true, failures },
    recent: { destination: 'api', at: AT, spans: [span], stopped: null },
  })
  const known = {
    ...{ sync: 's', incarnation: 'i', marker: 0 },
    events: new Map(events.map(event => [event.runId, event])),
    reports: new Map([[0, report]]),
  }
  const answers = answersOf('api', { syncs: new Set(['s']), runs: [known] })
  return destinationHealthOf({ ...answers, unusable: null, credentials: null }, AT).state
}

const first = run(1, { delivered: 380, rejected: 20 })
const scope = { as: null, key: null, status: null, group: null }
const discard = run(2, {}, { cause: 'discard', scope, counts: {} })

it('a destination is failing that rejects all rows of a run, none of which it rejected before', () => {
  expect(judged([first, discard, run(3, { rejected: 15 })])).toBe('failing')
  const known = (again: number) => judged([first, run(2, { rejected: 15 })], [failure(15, again)])
  expect([known(0), known(12), known(13), known(15)]).toEqual(['failing', 'failing', 'healthy', 'healthy'])
})

it('a destination is not failing that rejects the same rows again, after somebody discarded others', () => {
  expect(judged([first, discard, run(3, { rejected: 15 })], [failure(15, 15)])).toBe('healthy')
})

it('a destination is not failing that takes more new rows than it rejects', () => {
  const next = run(2, { delivered: 9, rejected: 15 })
  expect(judged([first, next], [failure(15, 10)])).toBe('healthy')
})
