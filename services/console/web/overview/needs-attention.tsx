/** The syncs that need a person's attention, above all others. */
import { Link } from '@tanstack/react-router'
import { memo, useMemo, useState, type ReactElement } from 'react'
import { RunState } from '../runs/run-state.tsx'
import { count } from '../ui/format.ts'
import { LongList } from '../ui/long-list.tsx'
import { Named } from '../ui/named.tsx'
import { Section } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { Badge } from '../ui/status.tsx'
import type { SyncView } from './at-a-glance.ts'
import { needsIn } from './needs.ts'

/** The more of them stand behind a button, so that what moves now and comes next stays in sight. */
const MAX_NEEDS = 5

/**
 * Lists held and failed runs, runs of which nothing arrives, cancelled runs that left rows, requests for runs
 * that were refused, runs that wait for a person, and rows that were not delivered.
 */
export const NeedsAttention = memo(function NeedsAttention({
  syncs,
}: {
  readonly syncs: readonly SyncView[]
}): ReactElement | null {
  const needs = useMemo(() => needsIn(syncs), [syncs])
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
        {({ sync, need, run }) => (
          <li key={sync.name}>
            {sync.refused !== undefined || run === null ? (
              <Badge tone="bad" sign="✕" text="refused" />
            ) : (
              <RunState run={run} />
            )}
            <span>
              <Link to="/syncs/$name" params={{ name: sync.name }}>
                <Named name={sync.name} title={sync.title} />
              </Link>
              <small>
                <ServerMessage text={need} />
              </small>
            </span>
            {sync.refused !== undefined || run === null ? (
              <Link to="/syncs/$name" params={{ name: sync.name }} className="button small">
                See why
              </Link>
            ) : (
              <Link to="/runs/$id" params={{ id: run.id }} className="button small">
                {run.status === 'held' ? 'Look and decide' : 'See why'}
              </Link>
            )}
          </li>
        )}
      </LongList>
    </Section>
  )
})
