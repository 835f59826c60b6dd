/** A run that has ended, as spans of its trace. Delivery adds what each partition went through. */
import type { RunEvent } from '@sluice/contracts/records'
import { OPS } from '@sluice/contracts/state'
import { countsOf } from '@sluice/domain/counts'
import type { Attribute, Span, Traces } from '@sluice/runtime/traces/span'

type EndedRun = Omit<RunEvent, 'marker' | 'sync' | 'incarnation'>

/** Traces a run whose last event is written. */
export function traceRun(traces: Traces | null | undefined, sync: string, run: EndedRun): void {
  if (traces === null || traces === undefined) return
  for (const span of runSpans(sync, run)) traces.take(span)
}

/** Returns the spans of a run. A run that never began has one span: the time in the queue. */
function runSpans(sync: string, run: EndedRun): readonly Span[] {
  const { runId, startedAt, queuedAt, endedAt, phases, error, status } = run
  if (endedAt === null) return []
  const from = startedAt ?? queuedAt
  const failure = status === 'failed' ? (error ?? 'the run has failed') : null
  const { publishingFrom = null, publishedAt = null } = phases ?? {}
  const part = (name: string, times: Pick<Span, 'from' | 'to'>, isBroken: boolean): Span => {
    const why = isBroken ? failure : null
    return { runId, place: name, parent: '', name, ...times, error: why, attributes: { 'sluice.sync': sync } }
  }
  return [
    {
      ...{ runId, place: '', parent: null, name: `run ${sync}`, from, to: endedAt, error: failure },
      attributes: attributesOf(sync, run),
    },
    ...(startedAt === null
      ? []
      : [part('detect', { from: startedAt, to: publishingFrom ?? endedAt }, publishingFrom === null)]),
    ...(publishingFrom === null
      ? []
      : [part('publish', { from: publishingFrom, to: publishedAt ?? endedAt }, publishedAt === null)]),
  ]
}

function attributesOf(sync: string, run: EndedRun): { [name: string]: Attribute | null } {
  const attributes: { [name: string]: Attribute | null } = {
    'sluice.sync': sync,
    'sluice.run': run.runId,
    'sluice.status': run.status,
    'sluice.cause': run.cause,
    'sluice.queued_ms': run.startedAt === null ? null : run.startedAt - run.queuedAt,
    'sluice.rows_read': run.rowsRead,
    'sluice.rows_invalid': run.rowsInvalid,
    'error.type': run.errorCode,
  }
  for (const op of OPS) {
    if (run.counts[op] === undefined) continue
    const { detected, delivered, rejected, unknown, unsent, requests } = countsOf(run.counts, op)
    const counts = { detected, delivered, rejected, unknown, unsent, requests }
    for (const [name, count] of Object.entries(counts)) attributes[`sluice.${op}.${name}`] = count
  }
  return attributes
}
