/** The syncs that need a person's attention, above all others. */
import type { RunView, SyncsPage } from '@sluice/contracts/api'
import { Link } from '@tanstack/react-router'
import { memo, type ReactElement } from 'react'
import { causeText } from '../runs/first-cause.tsx'
import { RunState } from '../runs/run-state.tsx'
import { totalsOf } from '../runs/totals.ts'
import { count, rows, waitInWords } from '../ui/format.ts'
import { LongList } from '../ui/long-list.tsx'
import { Named } from '../ui/named.tsx'
import { Section } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { Badge } from '../ui/status.tsx'

type SyncView = SyncsPage['syncs'][number]

/**
 * Lists held and failed runs, runs of which nothing arrives, cancelled runs that left rows, requests for runs
 * that were refused, runs that wait for a person, and rows that were not delivered.
 */
export const NeedsAttention = memo(function NeedsAttention({
  syncs,
}: {
  readonly syncs: readonly SyncView[]
}): ReactElement | null {
  const needs = syncs.flatMap(sync => {
    const need = needOf(sync)
    return need === null ? [] : [{ sync, need, run: sync.lastRun }]
  })
  if (needs.length === 0) return null
  return (
    <Section title="Needs attention">
      <LongList label="Needs attention" items={needs} height={62} className="needs">
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

/** Waits that do not end by themselves. */
const NEED_PEOPLE: ReadonlySet<string> = new Set(['secret', 'token', 'breaker'])

/** Why a sync needs attention. Null if it does not. */
export function needOf(sync: SyncView): string | null {
  const { lastRun, refused } = sync
  if (refused !== undefined && !isOlder(refused.at, lastRun))
    return `A run ${refused.by === null ? '' : `of ${refused.by} `}was refused: ${refused.error}`
  if (lastRun === null) return null
  const need = needOfRun(sync, lastRun)
  const { firstError } = lastRun
  return need === null || firstError === undefined || need.includes(causeText(firstError))
    ? need
    : `${need} First cause: ${causeText(firstError)}`
}

/** True if somebody started a run later. */
function isOlder(at: string, lastRun: RunView | null): boolean {
  return lastRun !== null && (lastRun.startedAt ?? '') > at
}

function needOfRun({ waiting, rows: open }: SyncView, run: RunView): string | null {
  const { status, held, error, failing = false } = run
  const wait = waiting.find(({ kind }) => NEED_PEOPLE.has(kind))
  if (wait !== undefined) return `${waitInWords(wait)}.`
  if (status === 'held')
    return held === undefined
      ? 'A run waits for approval.'
      : held.destination !== undefined
        ? `${rows(held.rows)} went to another destination, and a run waits for approval: ${held.destination.why}.`
        : `A run would remove ${count(held.removed)} of ${rows(held.rows)}, and waits for approval.`
  if (status === 'failed') return error ?? 'The last run failed.'
  const { failed } = totalsOf(run)
  if (status === 'running') return failing ? `Nothing of a run arrives: ${rows(failed)} failed so far.` : null
  if (status === 'cancelled' && failed > 0)
    return `A run was cancelled, and ${rows(failed)} ${failed === 1 ? 'was' : 'were'} not delivered.`
  if (status === 'warning')
    return failed === 0
      ? 'Rows of the model are invalid.'
      : `${failing ? 'Nothing was delivered: ' : ''}${rows(failed)} ${failed === 1 ? 'was' : 'were'} not delivered.`
  if (open.heldBack > 0)
    return `${rows(open.heldBack)} ${open.heldBack === 1 ? 'waits' : 'wait'} for somebody to decide.`
  return null
}
