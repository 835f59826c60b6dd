/** What a run waits for, as people see it. */
import type { WaitView } from '@sluice/contracts/api'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import { changeOf } from '@sluice/domain/held/delivered-to'
import type { Wait } from '@sluice/contracts/run-records'
import { isoTime } from './iso-time.ts'

/**
 * Each thing once: since the first partition began to wait for it, and until the last one is to go on. A run
 * that has ended waits for nothing.
 */
export function waitsOf(
  event: RunEvent,
  reports: ReadonlyMap<number, PartitionReport>,
  elsewhere: readonly Wait[],
): WaitView[] {
  return [...onceEach([...elsewhere, ...waitsIn(event, reports)])].flatMap(viewOf)
}

function waitsIn(event: RunEvent, reports: ReadonlyMap<number, PartitionReport>): readonly Wait[] {
  const { status, held, queuedAt, endedAt } = event
  if (status === 'held' && held !== null) {
    const changed = held.destination ?? null
    const detail =
      changed === null
        ? `somebody to approve that ${held.removed} of ${held.rows} rows are removed`
        : `somebody to say what becomes of ${held.rows} rows, since the destination changed: ${changeOf(changed)}`
    return [{ kind: 'approval', since: endedAt ?? queuedAt, until: null, detail }]
  }
  // The run before it does not end while requests from before may still arrive.
  if (status === 'queued') return waitsOfOpen(reports).filter(({ kind }) => kind === 'takeover')
  if (status !== 'running') return []
  return [...reports.values()].flatMap(({ run, ended, waits }) =>
    run === event.run && !ended ? (waits ?? []) : [],
  )
}

function waitsOfOpen(reports: ReadonlyMap<number, PartitionReport>): readonly Wait[] {
  return [...reports.values()].flatMap(({ ended, waits }) => (ended ? [] : (waits ?? [])))
}

function onceEach(waits: readonly Wait[]): Iterable<Wait> {
  const each = new Map<string, Wait>()
  for (const wait of waits) {
    const name = `${wait.kind} ${wait.detail}`
    const known = each.get(name)
    if (known === undefined) each.set(name, wait)
    else {
      const until = known.until === null || wait.until === null ? null : Math.max(known.until, wait.until)
      each.set(name, { ...known, since: Math.min(known.since, wait.since), until })
    }
  }
  return each.values()
}

function viewOf({ kind, since, until, detail }: Wait): readonly WaitView[] {
  const from = isoTime(since)
  return from === null ? [] : [{ kind, since: from, until: isoTime(until), detail }]
}
