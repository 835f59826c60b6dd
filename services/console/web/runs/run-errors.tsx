/** The rows that a run did not deliver, grouped by error, with a link to each. */
import type { FailedPage, FailedRow, RunView } from '@sluice/contracts/api'
import { requestOf } from '@sluice/contracts/api/operations'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { ask, type RowChoice } from '../api/commands.ts'
import { hasEnded } from '../api/follow-run.ts'
import { failedQuery } from '../api/queries.ts'
import { Confirm } from '../ui/dialog.tsx'
import { RoleButton } from '../ui/for-role.tsx'
import { count, rows } from '../ui/format.ts'
import { ServerMessage } from '../ui/server-message.tsx'
import { HttpStatus, Outcome } from '../ui/status.tsx'
import { Loading, Section, Trouble } from '../ui/parts.tsx'
import { withoutStatus } from './first-cause.tsx'
import { useGoToRun } from './go-to-run.ts'
import { totalsOf } from './totals.ts'

export interface ErrorGroup {
  readonly error: string
  readonly status: number | null
  readonly outcome: FailedRow['outcome']
  readonly count: number
  readonly key: string
  /** The id of the group at the server. Absent while the run is under way. */
  readonly id?: string | undefined
}

/** The rows by error, status and outcome, the most frequent first. */
export function groupsOf(failed: readonly FailedRow[]): readonly ErrorGroup[] {
  const groups = new Map<string, ErrorGroup>()
  for (const { key, error, status, outcome } of failed) {
    const known = JSON.stringify([error, status, outcome])
    const group = groups.get(known)
    groups.set(known, {
      ...{ error: error ?? 'No reason is known.', status, outcome, key: group?.key ?? key },
      count: (group?.count ?? 0) + 1,
    })
  }
  return [...groups.values()].sort((one, other) => other.count - one.count)
}

type CountedGroup = NonNullable<FailedPage['groups']>[number]

const groupOf = ({ error, status, outcome, count, key, id }: CountedGroup): ErrorGroup => ({
  ...{ error: error ?? 'No reason is known.', status, outcome, count, key, id },
})

export function RunErrors({ run }: { readonly run: RunView }): ReactElement | null {
  if (!hasEnded(run)) return <ErrorsSoFar run={run} />
  if (totalsOf(run).failed === 0) return null
  return <FailedRows sync={run.sync} run={run.id} title="Failed rows" kept={run.errors ?? []} />
}

/** The reasons for which rows failed so far. Their rows can be retried or discarded once the run is over. */
function ErrorsSoFar({ run: { errors = [], sync, id } }: { readonly run: RunView }): ReactElement | null {
  if (errors.length === 0) return null
  return (
    <Section title="Failed rows" aside={<small className="quiet">so far</small>}>
      <RunGroups {...{ sync, run: id, groups: errors }} />
    </Section>
  )
}

interface RunGroupsProps {
  readonly sync: string
  readonly run: string | undefined
  readonly groups: NonNullable<RunView['errors']>
}

/** Groups as the run itself tells them, so that nobody decides about their rows here. */
function RunGroups({ sync, run, groups }: RunGroupsProps): ReactElement | null {
  if (groups.length === 0) return null
  return (
    <ul className="groups">
      {groups.map(group => (
        <Group
          key={`${group.outcome} ${group.status ?? ''} ${group.error ?? ''}`}
          {...{ group: groupOf(group), sync, run }}
          retried={group.retried ?? 0}
          isWhole
        />
      ))}
    </ul>
  )
}

interface FailedRowsProps {
  readonly sync: string
  readonly run?: string
  readonly title: string
  /** The reasons that the run keeps, for the time when its rows no longer wait. */
  readonly kept?: NonNullable<RunView['errors']>
}

export function FailedRows({ sync, run, title, kept = [] }: FailedRowsProps): ReactElement {
  const { data, error, isPending, hasNextPage, fetchNextPage } = useInfiniteQuery(failedQuery(sync, { run }))
  const [asks, setAsks] = useState<Decision | null>(null)
  if (isPending)
    return (
      <Section title={title}>
        <Loading lines={3} />
      </Section>
    )
  if (data === undefined)
    return (
      <Section title={title}>
        <Trouble error={error} />
      </Section>
    )
  const found = data.pages.flatMap(page => page.rows)
  // The server counts all rows that wait. A server of an earlier version has no counts.
  const [first] = data.pages
  const counted = first?.groups
  const isAll = counted !== undefined
  const groups = counted === undefined ? groupsOf(found) : counted.map(groupOf)
  if (found.length === 0)
    return (
      <Section title={title}>
        <p className="pad quiet">
          {run === undefined
            ? 'No row waits for a retry.'
            : 'None of its rows waits any more as this run left it: a later run has tried them, or somebody has discarded them.'}
        </p>
        <RunGroups {...{ sync, run, groups: kept }} />
      </Section>
    )
  return (
    <Section
      title={title}
      aside={
        <div className="actions">
          <RoleButton role="run" className="small" onClick={() => setAsks({ what: 'retry', group: null })}>
            Retry all…
          </RoleButton>
          <RoleButton
            role="operate"
            className="small danger"
            onClick={() => setAsks({ what: 'discard', group: null })}
          >
            Discard all…
          </RoleButton>
        </div>
      }
    >
      <ul className="groups">
        {groups.map(group => (
          <Group
            key={`${group.outcome} ${group.status ?? ''} ${group.error}`}
            {...{ group, sync, run }}
            isWhole={isAll || !hasNextPage}
            onDecide={what => setAsks({ what, group })}
          />
        ))}
      </ul>
      {hasNextPage && !isAll ? (
        <div className="more">
          <button type="button" onClick={() => void fetchNextPage()}>
            Count more
          </button>
        </div>
      ) : null}
      {asks === null ? null : <AskFirst sync={sync} decision={asks} onClose={() => setAsks(null)} />}
    </Section>
  )
}

interface Decision {
  readonly what: 'retry' | 'discard'
  /** Null for all rows of the sync that wait. */
  readonly group: ErrorGroup | null
}

interface AskFirstProps {
  readonly sync: string
  readonly decision: Decision
  readonly onClose: () => void
}

/** Asks before rows are retried or discarded. A group's decision is about the rows that the page showed. */
function AskFirst({ sync, decision: { what, group }, onClose }: AskFirstProps): ReactElement {
  const follow = useGoToRun()
  const waiting = useWaitingRows(sync, group === null)
  const id = group === null ? waiting?.group : group.id
  const chosen: RowChoice = id === undefined ? {} : { group: id }
  const count = group === null ? (waiting?.count ?? null) : group.count
  const these =
    group === null
      ? count === null
        ? `all rows of ${sync} that wait`
        : `${count === 1 ? 'the' : 'all'} ${rows(count)} of ${sync} that ${count === 1 ? 'waits' : 'wait'}`
      : rows(group.count)
  if (what === 'retry')
    return (
      <Confirm
        title={`Retry ${these}?`}
        action="Retry"
        isReady={count !== null}
        onConfirm={() => follow(ask('retry', { name: sync, ...chosen }))}
        onClose={onClose}
      >
        <p>
          A run starts now and sends {count === 1 ? 'it with its' : 'them with their'} values of now
          {group === null ? ', and all else that has changed in the model.' : '.'}
        </p>
      </Confirm>
    )
  return (
    <Confirm
      title={`Discard ${these}?`}
      action="Discard"
      dangerous
      isReady={count !== null}
      onConfirm={() => ask('discard', { name: sync, ...chosen })}
      onClose={onClose}
    >
      <p>
        {count === 1
          ? 'It will not be sent unless it changes, or until a resync.'
          : 'They will not be sent unless they change, or until a resync.'}
      </p>
    </Confirm>
  )
}

interface WaitingRows {
  readonly count: number
  /** Names these rows, so that rows which fail first meanwhile are not decided about. */
  readonly group: string | undefined
}

/**
 * All rows of the sync that wait, not only those of one run, as the dialog first counted them; null until
 * they are counted.
 */
function useWaitingRows(sync: string, isAsked: boolean): WaitingRows | null {
  const { data } = useInfiniteQuery({ ...failedQuery(sync), enabled: isAsked })
  const [seen, setSeen] = useState<WaitingRows | null>(null)
  const { groups, group } = data?.pages[0] ?? {}
  if (seen !== null || groups === undefined) return seen
  const counted = { count: groups.reduce((sum, each) => sum + each.count, 0), group }
  setSeen(counted)
  return counted
}

/** Says how many rows of a group the run will send again. */
export function retriedInWords(retried: number, of: number): string {
  if (retried === of) return of === 1 ? 'It is tried again.' : 'All of them are tried again.'
  return `${count(retried)} of them ${retried === 1 ? 'is' : 'are'} tried again.`
}

interface GroupProps {
  readonly group: ErrorGroup
  readonly sync: string
  readonly run: string | undefined
  /** True if all rows of the group are loaded. */
  readonly isWhole: boolean
  /** The rows that the run will send again. */
  readonly retried?: number
  readonly onDecide?: (what: Decision['what']) => void
}

function Group({ group, sync, run, isWhole, retried = 0, onDecide }: GroupProps): ReactElement {
  return (
    <li>
      <div className="group-head">
        <HttpStatus status={group.status} />
        <Outcome outcome={group.outcome} />
        <strong>{isWhole ? rows(group.count) : `${rows(group.count)} and more`}</strong>
        {retried === 0 ? null : <span className="quiet">{retriedInWords(retried, group.count)}</span>}
      </div>
      <p className="group-error">
        <ServerMessage text={withoutStatus(group)} quotes={group.status !== null} />
      </p>
      <p className="quiet">
        for example{' '}
        <Link to="/syncs/$name/row" params={{ name: sync }} search={{ key: group.key }}>
          <code>{group.key}</code>
        </Link>{' '}
        ·{' '}
        <Link to="/requests" search={{ sync, key: group.key, ...(run === undefined ? {} : { run }) }}>
          its requests
        </Link>
      </p>
      {group.id === undefined || onDecide === undefined ? null : (
        <GroupActions {...{ sync, run, onDecide }} group={group.id} of={group.error} />
      )}
    </li>
  )
}

interface GroupActionsProps {
  readonly sync: string
  readonly run: string | undefined
  /** The id of the group. */
  readonly group: string
  /** Its error, which tells the buttons of several groups apart for a screen reader. */
  readonly of: string
  readonly onDecide: (what: Decision['what']) => void
}

function GroupActions({ sync, run, group, of, onDecide }: GroupActionsProps): ReactElement {
  const file = (format: 'csv' | 'json'): string =>
    requestOf('exportFailedRows', { name: sync, run, group, format }).url
  return (
    <div className="actions">
      <RoleButton role="run" className="small" onClick={() => onDecide('retry')}>
        Retry these… <span className="hidden">{of}</span>
      </RoleButton>
      <a href={file('csv')} download>
        Export as CSV <span className="hidden">{of}</span>
      </a>
      <a href={file('json')} download>
        Export as JSON <span className="hidden">{of}</span>
      </a>
      <RoleButton role="operate" className="small danger" onClick={() => onDecide('discard')}>
        Discard these… <span className="hidden">{of}</span>
      </RoleButton>
    </div>
  )
}
