/** The overview: first the syncs that need attention, then all syncs with their states. */
import type { SyncsPage } from '@sluice/contracts/api'
import { SAMPLE_SYNC } from '@sluice/contracts/api/operations'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { memo, useDeferredValue, useState, type ReactElement } from 'react'
import { syncsQuery } from '../api/queries.ts'
import { ForRole } from '../ui/for-role.tsx'
import { count, rows } from '../ui/format.ts'
import { LongList } from '../ui/long-list.tsx'
import { Named } from '../ui/named.tsx'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { Badge, RunStatus } from '../ui/status.tsx'
import { WaitLine } from '../ui/wait-line.tsx'
import { RunButton } from '../runs/run-button.tsx'
import { totalsOf } from '../runs/totals.ts'
import { RunBars } from './run-bars.tsx'
import { Destinations } from './destinations.tsx'
import { NeedsAttention } from './needs-attention.tsx'
import { RemoveSample } from './sample-project.tsx'
import { Welcome } from './welcome.tsx'

type SyncView = SyncsPage['syncs'][number]

export function Overview(): ReactElement {
  const { data, error, isPending } = useQuery(syncsQuery)
  const [letters, setLetters] = useState('')
  // Typing has priority over showing matches.
  const searched = useDeferredValue(letters)
  if (isPending)
    return (
      <Frame>
        <Loading lines={8} />
      </Frame>
    )
  if (data === undefined)
    return (
      <Frame>
        <Trouble error={error} />
      </Frame>
    )
  if (data.syncs.length === 0)
    return (
      <Frame>
        <Welcome />
      </Frame>
    )
  const wanted = searched.toLowerCase()
  const shown = data.syncs.filter(({ name, title = '', model, destination }) =>
    `${name} ${title} ${model} ${destination}`.toLowerCase().includes(wanted),
  )
  return (
    <Frame
      actions={
        <ForRole role="edit" label="New sync" className="primary">
          <Link to="/new" className="button primary">
            New sync
          </Link>
        </ForRole>
      }
    >
      <NeedsAttention syncs={data.syncs} />
      <Section
        title={data.syncs.length === 1 ? '1 sync' : `${count(data.syncs.length)} syncs`}
        aside={
          <input
            type="search"
            placeholder="Filter by name…"
            aria-label="Filter the syncs by name, model or destination"
            value={letters}
            onChange={event => setLetters(event.target.value)}
          />
        }
      >
        {shown.length === 0 ? (
          <Empty title="No sync has these letters." />
        ) : (
          <LongList items={shown} height={61} className="sync-list">
            {sync => <SyncLine key={sync.name} sync={sync} />}
          </LongList>
        )}
      </Section>
      <Destinations />
      {data.syncs.some(({ name }) => name === SAMPLE_SYNC) ? <RemoveSample /> : null}
    </Frame>
  )
}

function Frame(props: { readonly children: React.ReactNode; readonly actions?: ReactElement }): ReactElement {
  return (
    <Page title="Overview" {...(props.actions === undefined ? {} : { actions: props.actions })}>
      {props.children}
    </Page>
  )
}

const SyncLine = memo(function SyncLine({ sync }: { readonly sync: SyncView }): ReactElement {
  const { name, title, model, destination, lastRun, state, waiting, rows: open, runs = [] } = sync
  return (
    <li className="sync-line">
      <div className="sync-name">
        <Link to="/syncs/$name" params={{ name }}>
          <Named name={name} title={title} />
        </Link>
        <small>
          {model} → {destination}
        </small>
      </div>
      <div className="sync-state">
        <State state={state} lastRun={lastRun} />
      </div>
      <div className="sync-last">
        {lastRun === null ? null : <LastRun run={lastRun} />}
        {open.failed + open.heldBack === 0 ? null : (
          <small>
            <Link to="/syncs/$name" params={{ name }}>
              {rows(open.failed + open.heldBack)} not delivered
            </Link>
          </small>
        )}
      </div>
      <div className="sync-next">
        <RunBars runs={runs} />
        <NextRun sync={sync} />
      </div>
      <div className="sync-actions">
        <RunButton sync={name} lastRun={lastRun} small />
      </div>
      {waiting.map(wait => (
        <p key={`${wait.kind} ${wait.since}`} className="sync-wait">
          <WaitLine wait={wait} />
        </p>
      ))}
    </li>
  )
})

/** The sync's state, or the status of its last run if that says more. */
function State({ state, lastRun }: Pick<SyncView, 'state' | 'lastRun'>): ReactElement {
  if (state === 'parked') return <Badge tone="bad" sign="✕" text="parked" />
  if (state === 'set-aside') return <Badge tone="bad" sign="✕" text="set aside" />
  if (lastRun === null) return <span className="quiet">never ran</span>
  return (
    <Link to="/runs/$id" params={{ id: lastRun.id }} className="bare">
      <RunStatus status={lastRun.status} />
    </Link>
  )
}

function NextRun({ sync: { nextRunAt, paused, schedule } }: { readonly sync: SyncView }): ReactElement {
  if (paused) return <small>paused</small>
  if (nextRunAt === null) return <small>{schedule === 'manual' ? 'runs when asked' : ''}</small>
  return (
    <small>
      next <Time at={nextRunAt} />
    </small>
  )
}

function LastRun({ run }: { readonly run: NonNullable<SyncView['lastRun']> }): ReactElement {
  const { delivered, detected } = totalsOf(run)
  const at = run.endedAt ?? run.startedAt
  return (
    <>
      {at === null ? null : <Time at={at} />}
      <small>
        {detected === 0 && run.status === 'success' ? 'nothing to send' : `${count(delivered)} delivered`}
      </small>
    </>
  )
}
