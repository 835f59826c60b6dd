/** The figures that say at a glance whether anything is wrong, what runs now, and what runs next. */
import { Link } from '@tanstack/react-router'
import { useMemo, type ReactElement } from 'react'
import { isStopped, nowInWords, speedInWords } from '../runs/now-in-words.ts'
import { RunProgress } from '../runs/run-now.tsx'
import { causeText } from '../runs/first-cause.tsx'
import { LastRunState } from '../runs/run-state.tsx'
import { streamInWords } from '../syncs/stream-in-words.ts'
import { isStreaming, streamOf } from '../syncs/sync-state.tsx'
import { Figure } from '../ui/figure.tsx'
import { count, many } from '../ui/format.ts'
import { Named } from '../ui/named.tsx'
import { Section, Time, useNow } from '../ui/parts.tsx'
import { needsIn } from './needs.ts'
import { glanceOf, movingOf, nextOf, type SyncView } from './at-a-glance.ts'

/** The lag is shown in whole units, so it changes rarely. */
const LAG_MS = 5_000

export function Headline({ syncs }: { readonly syncs: readonly SyncView[] }): ReactElement {
  const now = useNow(LAG_MS)
  const { deliveredToday, isWhole, failing, behind, deliveredPerSecond, failedPerSecond } = glanceOf(syncs)
  const others = useMemo(() => needsIn(syncs).filter(({ trouble }) => !trouble.isFailing).length, [syncs])
  const speed = speedInWords(
    deliveredPerSecond === null ? {} : { throughput: { deliveredPerSecond, failedPerSecond } },
  )
  return (
    <dl className="headline" aria-label="At a glance">
      <Figure name="Failing syncs" value={count(failing.length)} isBad={failing.length > 0}>
        of {many(syncs.length, 'sync', 'syncs')}
        {others === 0
          ? ''
          : `; ${count(others)} ${failing.length === 0 ? '' : 'more '}${others === 1 ? 'needs' : 'need'} attention`}
      </Figure>
      <Figure name="Lag" value={behind === null ? 'none' : roughly(now - behind.since)}>
        {behind === null ? (
          'all rows are at their destinations'
        ) : (
          <Link to="/syncs/$name" params={{ name: behind.sync }}>
            <Named name={behind.sync} title={syncs.find(({ name }) => name === behind.sync)?.title} />
          </Link>
        )}
      </Figure>
      <Figure name="Rows delivered today" value={`${isWhole ? '' : 'at least '}${count(deliveredToday)}`}>
        {speed === null ? 'no run sends now' : `now ${speed}`}
      </Figure>
    </dl>
  )
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

function roughly(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.max(0, Math.floor(ms / 1_000))} s`
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`
  if (ms < 2 * DAY_MS) return `${Math.floor(ms / HOUR_MS)} h`
  return `${Math.floor(ms / DAY_MS)} days`
}

/** If more runs are under way, the list of syncs shows the rest. */
const MAX_MOVING = 5
const MAX_NEXT = 5

export function RunningNow({ syncs }: { readonly syncs: readonly SyncView[] }): ReactElement {
  const moving = movingOf(syncs)
  const shown = moving.slice(0, MAX_MOVING)
  return (
    <Section title="Running now">
      {shown.length === 0 ? <p className="pad quiet">No run is under way.</p> : null}
      <ul className="moving">
        {shown.map(sync => (
          <Moving key={sync.name} sync={sync} />
        ))}
      </ul>
      {moving.length > shown.length ? (
        <p className="pad quiet">and {many(moving.length - shown.length, 'other run', 'other runs')}</p>
      ) : null}
    </Section>
  )
}

function Moving({ sync }: { readonly sync: SyncView }): ReactElement | null {
  const { name, title, lastRun, queuedRuns = 0 } = sync
  if (lastRun === null) return null
  const { firstError } = lastRun
  const speed = isStreaming(sync) ? streamInWords(streamOf(sync)) : speedInWords(lastRun)
  return (
    <li>
      <div className="moving-head">
        <LastRunState sync={sync} />
        <Link to="/runs/$id" params={{ id: lastRun.id }}>
          <Named name={name} title={title} />
        </Link>
        {speed === null ? null : <small>{speed}</small>}
        {queuedRuns === 0 ? null : <small>{count(queuedRuns)} more queued</small>}
      </div>
      {lastRun.progress === undefined || isStopped(lastRun) ? <small>{nowInWords(lastRun)}</small> : null}
      {lastRun.progress === undefined ? null : <RunProgress run={lastRun} />}
      {firstError === undefined ? null : <p className="group-error bad">{causeText(firstError)}</p>}
    </li>
  )
}

export function NextRuns({ syncs }: { readonly syncs: readonly SyncView[] }): ReactElement {
  const next = nextOf(syncs, MAX_NEXT)
  return (
    <Section title="Next runs">
      {next.length === 0 ? <p className="pad quiet">No run is scheduled.</p> : null}
      <ul className="next-runs">
        {next.map(({ name, title, nextRunAt }) => (
          <li key={name}>
            <Link to="/syncs/$name" params={{ name }}>
              <Named name={name} title={title} />
            </Link>
            <small>{nextRunAt === null ? '' : <Time at={nextRunAt} isToCome />}</small>
          </li>
        ))}
      </ul>
    </Section>
  )
}
