/** The syncs that need a person's attention, above all others. */
import type { SyncsPage } from '@sluice/contracts/api'
import { Link } from '@tanstack/react-router'
import { memo, type ReactElement } from 'react'
import { totalsOf } from '../runs/totals.ts'
import { count, rows, waitInWords } from '../ui/format.ts'
import { LongList } from '../ui/long-list.tsx'
import { Named } from '../ui/named.tsx'
import { Section } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { RunStatus } from '../ui/status.tsx'

type SyncView = SyncsPage['syncs'][number]

/** Lists held and failed runs, runs that wait for a person, and rows that were not delivered. */
export const NeedsAttention = memo(function NeedsAttention({
  syncs,
}: {
  readonly syncs: readonly SyncView[]
}): ReactElement | null {
  const needs = syncs.flatMap(sync => {
    const need = needOf(sync)
    return need === null || sync.lastRun === null ? [] : [{ sync, need, run: sync.lastRun }]
  })
  if (needs.length === 0) return null
  return (
    <Section title="Needs attention">
      <LongList label="Needs attention" items={needs} height={62} className="needs">
        {({ sync, need, run }) => (
          <li key={sync.name}>
            <RunStatus status={run.status} />
            <span>
              <Link to="/syncs/$name" params={{ name: sync.name }}>
                <Named name={sync.name} title={sync.title} />
              </Link>
              <small>
                <ServerMessage text={need} />
              </small>
            </span>
            <Link to="/runs/$id" params={{ id: run.id }} className="button small">
              {run.status === 'held' ? 'Look and decide' : 'See why'}
            </Link>
          </li>
        )}
      </LongList>
    </Section>
  )
})

/** Waits that do not end by themselves. */
const NEED_PEOPLE: ReadonlySet<string> = new Set(['secret', 'token', 'breaker'])

function needOf({ lastRun, waiting, rows: open }: SyncView): string | null {
  if (lastRun === null) return null
  const { status, held, error } = lastRun
  const wait = waiting.find(({ kind }) => NEED_PEOPLE.has(kind))
  if (wait !== undefined) return `${waitInWords(wait)}.`
  if (status === 'held')
    return held === undefined
      ? 'A run waits for approval.'
      : held.destination !== undefined
        ? `${rows(held.rows)} went to another destination, and a run waits for approval: ${held.destination.why}.`
        : `A run would remove ${count(held.removed)} of ${rows(held.rows)}, and waits for approval.`
  if (status === 'failed') return error ?? 'The last run failed.'
  const { failed } = totalsOf(lastRun)
  if (status === 'warning')
    return failed === 0
      ? 'Rows of the model are invalid.'
      : `${rows(failed)} ${failed === 1 ? 'was' : 'were'} not delivered.`
  if (open.heldBack > 0)
    return `${rows(open.heldBack)} ${open.heldBack === 1 ? 'waits' : 'wait'} for somebody to decide.`
  return null
}
