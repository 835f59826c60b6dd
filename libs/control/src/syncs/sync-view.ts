/** A sync as people see it: its resource, and what became of its runs. */
import type { RunView, SyncView } from '@sluice/contracts/api'
import { syncView as schema } from '@sluice/contracts/api'
import { sync as syncSchema, type SyncSpec } from '@sluice/contracts/resources'
import { OPS } from '@sluice/contracts/state'
import { isEnded } from '@sluice/domain/run-status'
import { instantsOf } from '@sluice/schedule/instants'
import { z } from 'zod'
import { isoTime } from '../history/views/iso-time.ts'
import type { SyncPast } from '../port.ts'

/** `at`: now, in ms since 1970. `runs`: how many last runs it is shown with, if at all. */
export function syncView(
  spec: SyncSpec,
  past: SyncPast,
  { at, runs }: { readonly at: number; readonly runs: number | undefined },
): SyncView {
  const { name, model, destination, paused = false } = spec
  const open = past.runs.filter(({ status }) => !isEnded(status))
  const next = paused ? null : (instantsOf(spec)?.next(at) ?? null)
  return {
    ...{ name, model, destination, paused },
    schedule: schema.shape.schedule.parse(z.encode(syncSchema.shape.schedule, spec.schedule)),
    state: stateOf(past.runs, paused),
    lastRun: past.runs[0] ?? null,
    nextRunAt: isoTime(next),
    waiting: open.flatMap(({ waiting = [] }) => waiting),
    rows: past.rows,
    certificates: past.certificates.map(certificate => {
      return { ...certificate, expiresAt: new Date(certificate.expiresAt).toISOString() }
    }),
    ...(runs === undefined ? {} : { runs: figuresOf(past.runs, runs) }),
  }
}

/** The runs are the newest first. */
function stateOf(runs: readonly RunView[], paused: boolean): SyncView['state'] {
  const is = (status: RunView['status']): boolean => runs.some(run => run.status === status)
  const isParked = runs.some(({ waiting = [] }) => waiting.some(({ kind }) => kind === 'parked'))
  if (isParked) return 'parked'
  if (is('running')) return 'running'
  if (is('queued')) return 'queued'
  if (is('held')) return 'held'
  if (runs[0]?.setAside === true) return 'set-aside'
  return paused ? 'paused' : 'idle'
}

function figuresOf(runs: readonly RunView[], most: number): NonNullable<SyncView['runs']> {
  return runs
    .filter(({ startedAt }) => startedAt !== null)
    .slice(0, most)
    .map(({ id, status, startedAt, endedAt, triggers }) => {
      const figures = { detected: 0, delivered: 0, failed: 0 }
      for (const op of OPS) {
        const counts = triggers[op]
        if (counts === undefined) continue
        figures.detected += counts.detected
        figures.delivered += counts.delivered
        figures.failed += counts.rejected + counts.unknown + counts.unsent
      }
      return { id, status, startedAt, endedAt, ...figures }
    })
}
