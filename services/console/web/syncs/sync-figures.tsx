/** The figures that lead the page of a sync: its state, what its last runs delivered, and its schedule. */
import type { SyncView } from '@sluice/contracts/api'
import { Link } from '@tanstack/react-router'
import type { ReactElement, ReactNode } from 'react'
import { MinuteBars, RunBars } from '../overview/run-bars.tsx'
import { Figure } from '../ui/figure.tsx'
import { clockTime, count, many, rows } from '../ui/format.ts'
import { Time } from '../ui/parts.tsx'
import { scheduleInWords } from './schedule-in-words.ts'
import { lagInWords, unreadInWords } from './stream-in-words.ts'
import { isOfRun, isStreaming, streamOf, SyncState } from './sync-state.tsx'

export function SyncFigures({ sync }: { readonly sync: SyncView }): ReactElement {
  const { lastRun, runs = [], schedule, state } = sync
  const undelivered = sync.rows.failed + sync.rows.heldBack
  const at = lastRun?.endedAt ?? lastRun?.startedAt ?? null
  const delivered = runs.reduce((sum, run) => sum + run.delivered, 0)
  const isHeld = state === 'held' && schedule !== 'manual'
  return (
    <dl className="headline" aria-label="At a glance">
      <Figure name="State" value={<State sync={sync} />}>
        {isStreaming(sync) ? (
          <>
            since <Time at={sync.stream.since} />
          </>
        ) : at === null ? undefined : (
          <Time at={at} />
        )}
      </Figure>
      <Figure name="Not delivered" value={count(undelivered)} isBad={undelivered > 0}>
        {undelivered === 0 ? 'no row waits for a retry' : missingSince(sync)}
      </Figure>
      {sync.stream === undefined ? (
        <Figure name="Last runs" value={<RunBars runs={runs} />}>
          {runs.length === 0 ? 'no run yet' : `${rows(delivered)} in ${many(runs.length, 'run', 'runs')}`}
        </Figure>
      ) : (
        <Figure name="Last minutes" value={<MinuteBars minutes={sync.stream.minutes} />}>
          {rows(sync.stream.minutes.reduce((sum, minute) => sum + minute.delivered, 0))} in the last hour
        </Figure>
      )}
      {isStreaming(sync) ? (
        <Figure name="Lag" value={lagInWords(streamOf(sync))}>
          {unreadInWords(sync.stream) ?? scheduleInWords(schedule)}
        </Figure>
      ) : (
        <Figure name="Next run" value={<NextRun sync={sync} />}>
          {isHeld ? 'The schedule waits for your decision.' : scheduleInWords(schedule)}
        </Figure>
      )}
    </dl>
  )
}

function State({ sync }: { readonly sync: SyncView }): ReactElement {
  if (sync.lastRun === null || !isOfRun(sync)) return <SyncState sync={sync} />
  return (
    <Link to="/runs/$id" params={{ id: sync.lastRun.id }} className="bare">
      <SyncState sync={sync} />
    </Link>
  )
}

function missingSince({ behindSince = null }: SyncView): string {
  return behindSince === null ? 'they wait for a retry, or for somebody' : `since ${clockTime(behindSince)}`
}

function NextRun({ sync: { nextRunAt, paused, schedule, state } }: { readonly sync: SyncView }): ReactNode {
  if (paused) return 'paused'
  if (state === 'held' && schedule !== 'manual') return 'held'
  if (nextRunAt !== null) return <Time at={nextRunAt} isToCome />
  return schedule === 'manual' ? 'when asked' : schedule === 'continuous' ? 'when one ends' : 'none'
}
