/** The top of a source's page: its state, as the last runs of its syncs have found it. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactElement, ReactNode } from 'react'
import { resourcesQuery, syncsQuery } from '../api/queries.ts'
import { rows } from '../ui/format.ts'
import { Loading, Section, Time, Trouble } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { Badge } from '../ui/status.tsx'
import { joinedTo } from './joined-to.ts'
import { type SourceState, sourceStateOf } from './source-state.ts'

export function SourceHealth({ name }: { readonly name: string }): ReactElement {
  const { data: all, error: noResources } = useQuery(resourcesQuery)
  const { data: known, error: noSyncs } = useQuery(syncsQuery)
  const error = noResources ?? noSyncs
  if (all === undefined || known === undefined)
    return (
      <Section title="Health">{error === null ? <Loading lines={1} /> : <Trouble error={error} />}</Section>
    )
  const own = joinedTo({ kind: 'source', name }, { resources: all.resources, syncs: known.syncs })
  const syncs = known.syncs.filter(sync => own.sync.includes(sync.name))
  return (
    <Section title="Health">
      <Found state={sourceStateOf(name, syncs)} />
    </Section>
  )
}

function Found({ state }: { readonly state: SourceState }): ReactElement {
  if (state.is === 'never read')
    return <Told badge={<Badge tone="calm" sign="◌" text={state.is} />}>No run has read it yet.</Told>
  if (state.is === 'healthy')
    return (
      <Told badge={<Badge tone="good" sign="✓" text={state.is} />}>
        <ToRun run={state.run}>The last run of {state.sync}</ToRun> read {rows(state.rows)}{' '}
        <Time at={state.at} />.
      </Told>
    )
  const { text, since, readAt, run, sync } = state
  return (
    <Told badge={<Badge tone="bad" sign="✕" text={state.is} />}>
      <ServerMessage text={text} /> Found by <ToRun run={run}>a run of {sync}</ToRun>
      {since === null ? null : (
        <>
          ; its rows are missing since <Time at={since} exact />
        </>
      )}
      {readAt === null ? null : (
        <>
          ; another sync could read it <Time at={readAt} />
        </>
      )}
      .
    </Told>
  )
}

function Told({
  badge,
  children,
}: {
  readonly badge: ReactElement
  readonly children: ReactNode
}): ReactElement {
  return (
    <div className="pad actions">
      {badge}
      <span>{children}</span>
    </div>
  )
}

function ToRun({
  run,
  children,
}: {
  readonly run: string | null
  readonly children: ReactNode
}): ReactElement {
  if (run === null) return <>{children}</>
  return (
    <Link to="/runs/$id" params={{ id: run }}>
      {children}
    </Link>
  )
}
