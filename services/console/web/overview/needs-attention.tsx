/** The syncs and destinations that need a person's attention, above all others. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { memo, useMemo, useState, type ReactElement } from 'react'
import { destinationsQuery } from '../api/queries.ts'
import { HealthBadge, HealthFix, HealthReason } from '../resources/destination-health.tsx'
import { OpenSource } from '../resources/open-source.tsx'
import { SyncState } from '../syncs/sync-state.tsx'
import { clockTime, count, many } from '../ui/format.ts'
import { LongList } from '../ui/long-list.tsx'
import { Named } from '../ui/named.tsx'
import { Section } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import type { SyncView } from './at-a-glance.ts'
import { type Health, needsOf, type Trouble } from './needs.ts'

/** A button shows the others, so that the runs under way and the next ones stay in sight. */
const MAX_NEEDS = 5

export const NeedsAttention = memo(function NeedsAttention({
  syncs,
}: {
  readonly syncs: readonly SyncView[]
}): ReactElement | null {
  const { data } = useQuery(destinationsQuery)
  const needs = useMemo(() => needsOf(syncs, data?.destinations ?? []), [syncs, data])
  const [isWhole, setWhole] = useState(false)
  if (needs.length === 0) return null
  const shown = isWhole ? needs : needs.slice(0, MAX_NEEDS)
  return (
    <Section
      title="Needs attention"
      aside={
        needs.length <= MAX_NEEDS ? null : (
          <button type="button" className="small" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
            {isWhole ? 'Show fewer' : `Show all ${count(needs.length)}`}
          </button>
        )
      }
    >
      <LongList label="Needs attention" items={shown} height={62} className="needs">
        {need => (
          <li key={`${need.kind} ${need.name}`}>
            {need.kind === 'sync' ? <SyncNeed {...need} /> : <DestinationNeed {...need} />}
          </li>
        )}
      </LongList>
    </Section>
  )
})

function SyncNeed({ sync, trouble }: { readonly sync: SyncView; readonly trouble: Trouble }): ReactElement {
  const { name, title, destination } = sync
  const { text, quotesAnswer, source, since, runs } = trouble
  const ended = runs === 0 ? '' : `, for ${many(runs, 'run', 'runs')}`
  return (
    <>
      <SyncState sync={sync} />
      <span>
        <Link to="/syncs/$name" params={{ name }}>
          <Named name={name} title={title} />
        </Link>
        <small>
          <ServerMessage text={text} quotes={quotesAnswer === true} />
        </small>
        <small className="quiet">
          {source === undefined ? 'To ' : 'From '}
          <Link to="/resources/$kind/$name" params={placeOfRows(source, destination)}>
            {source ?? destination}
          </Link>
          {since === null ? '' : ` · since ${clockTime(since)}${ended}`}
        </small>
      </span>
      <NeedActions sync={sync} trouble={trouble} />
    </>
  )
}

function NeedActions({
  sync: { name, lastRun },
  trouble: { fix, source, run },
}: {
  readonly sync: SyncView
  readonly trouble: Trouble
}): ReactElement {
  return (
    <div className="actions">
      <HealthFix health={{ fix }} />
      {source === undefined ? null : <OpenSource name={source} />}
      {run === null ? (
        fix === null ? (
          <Link to="/syncs/$name" params={{ name }} className="button small">
            Open the sync
          </Link>
        ) : null
      ) : (
        <Link to="/runs/$id" params={{ id: run }} className="button small">
          {lastRun?.status === 'held' ? 'Look and decide' : 'Open the run'}
        </Link>
      )}
    </div>
  )
}

/** The place at which the rows of the sync stop. */
function placeOfRows(
  source: string | undefined,
  destination: string,
): { readonly kind: 'source' | 'destination'; readonly name: string } {
  return source === undefined ? { kind: 'destination', name: destination } : { kind: 'source', name: source }
}

function DestinationNeed({ name, health }: { readonly name: string; readonly health: Health }): ReactElement {
  return (
    <>
      <HealthBadge health={health} />
      <span>
        <Link to="/resources/$kind/$name" params={{ kind: 'destination', name }}>
          {name}
        </Link>
        <small>
          <HealthReason health={health} />
        </small>
      </span>
      <div className="actions">
        <HealthFix health={health} />
        <Link to="/resources/$kind/$name" params={{ kind: 'destination', name }} className="button small">
          Open the destination
        </Link>
      </div>
    </>
  )
}
