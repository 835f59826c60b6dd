/** The page of one run: what it does now, its phases on a time line, and its errors. */
import type { RunView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { ask } from '../api/commands.ts'
import { hasEnded, useFollowedRun, type EventsState } from '../api/follow-run.ts'
import { runQuery, syncsQuery } from '../api/queries.ts'
import { StreamSection } from '../syncs/stream-section.tsx'
import { useSyncTitle } from '../syncs/sync-name.tsx'
import { TroubleActions } from '../syncs/trouble-actions.tsx'
import { Confirm } from '../ui/dialog.tsx'
import { RoleButton } from '../ui/for-role.tsx'
import { count, duration } from '../ui/format.ts'
import { ListTable } from '../ui/list-table.tsx'
import { Facts, Loading, Page, Section, Time, Trouble, useNow } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { placeOf } from '../ui/places.ts'
import { FirstCause, InvalidRows } from './first-cause.tsx'
import { Held } from './held-run.tsx'
import { Notices } from './notices.tsx'
import { CompareWithBefore } from './run-before.tsx'
import { RunButton } from './run-button.tsx'
import { RunErrors } from './run-errors.tsx'
import { RunFigures } from './run-figures.tsx'
import { RunNow } from './run-now.tsx'
import { RunState } from './run-state.tsx'
import { RunTimeline } from './run-timeline.tsx'
import { Throughput } from './throughput.tsx'
import { leftByCancel, totalsOf, triggersWithRows } from './totals.ts'

export function RunPage(): ReactElement {
  const { id } = useParams({ from: '/runs/$id' })
  // Another run gets a fresh page, without the state of this one.
  return <OneRun key={id} id={id} />
}

function OneRun({ id }: { readonly id: string }): ReactElement {
  const { data: run, error, isPending } = useQuery(runQuery(id))
  const title = useSyncTitle(run?.sync)
  const events = useFollowedRun(id)
  if (isPending)
    return (
      <Page title="Run">
        <Loading lines={8} />
      </Page>
    )
  if (run === undefined)
    return (
      <Page title="Run">
        <Trouble error={error} />
      </Page>
    )
  return (
    <Page
      title={`Run of ${title ?? run.sync}`}
      lead={
        <>
          <RunState run={run} />{' '}
          <Link to="/syncs/$name" params={{ name: run.sync }}>
            The sync
          </Link>{' '}
          · <code>{run.id}</code> · {causeOf(run)}
          {events === 'lost' ? ' · the connection is lost, this page tries again' : ''}
        </>
      }
      actions={<Actions run={run} />}
    >
      {run.status === 'held' ? <Held run={run} /> : null}
      {run.error === null ? null : (
        <div className="trouble" role="alert">
          <p>
            <ServerMessage text={run.error} />
          </p>
          <ErrorDetails run={run} />
        </div>
      )}
      <Mend run={run} />
      <RunNow run={run} />
      {run.stream === undefined || run.status === 'held' ? null : (
        <StreamSection stream={run.stream} title={hasEnded(run) ? 'Stream when this run ended' : 'Stream'} />
      )}
      <FirstCause run={run} />
      <InvalidRows run={run} />
      <Notices of={run} />
      <Progress run={run} events={events} />
      <RunErrors run={run} />
      <Throughput run={run} />
      <RunFigures run={run} />
    </Page>
  )
}

/** What mends the trouble of the sync, on the page of the run that shows it. */
function Mend({ run: { id, sync, failing } }: { readonly run: RunView }): ReactElement | null {
  const { data: trouble } = useQuery({
    ...syncsQuery,
    select: ({ syncs }) => syncs.find(({ name }) => name === sync)?.trouble,
  })
  if (trouble === undefined || trouble.run !== id) return null
  const { fix } = trouble
  return (
    <>
      {failing === true && fix?.act === 'set-secret' ? (
        <p>
          Its requests carry the secret{' '}
          <Link to="/secrets">
            <code>{fix.name}</code>
          </Link>
          .
        </p>
      ) : null}
      <TroubleActions trouble={trouble} />
    </>
  )
}

/** The places of the error. A message that the error itself has is not shown again. */
function ErrorDetails({ run: { error, errorDetails = [] } }: { readonly run: RunView }): ReactElement | null {
  const details = errorDetails
    .map(detail => [placeOf(detail), isIn(error, detail.message) ? '' : detail.message])
    .map(parts => parts.filter(part => part !== '').join(': '))
    .filter(text => text !== '')
  if (details.length === 0) return null
  return (
    <ul>
      {details.map((text, index) => (
        <li key={index}>{text}</li>
      ))}
    </ul>
  )
}

const isIn = (error: string | null, message: string): boolean => error?.includes(message) === true

/** A run that started this long after its time shows both times. */
const LATE_MS = 5_000

/** The cause of the run, and the person who asked for it. */
function causeOf({ cause, by, dueAt, startedAt }: RunView): ReactElement {
  const isPrompt =
    dueAt === undefined || (startedAt !== null && Date.parse(startedAt) - Date.parse(dueAt) <= LATE_MS)
  return (
    <>
      {cause}
      {by === undefined ? '' : `, by ${by}`}
      {isPrompt ? null : (
        <>
          , due <Time at={dueAt} exact />
        </>
      )}
    </>
  )
}

function Actions({ run }: { readonly run: RunView }): ReactElement {
  /** The run as it was when somebody asked to cancel it. */
  const [asks, setAsks] = useState<RunView | null>(null)
  return (
    <>
      <Link to="/requests" search={{ run: run.id }} className="button">
        Requests
      </Link>
      {hasEnded(run) ? <CompareWithBefore run={run} /> : null}
      {hasEnded(run) ? (
        <RunButton sync={run.sync} lastRun={run} />
      ) : (
        <RoleButton role="run" className="danger" onClick={() => setAsks(run)}>
          Cancel this run
        </RoleButton>
      )}
      {asks === null ? null : (
        <Confirm
          title="Cancel this run?"
          action="Cancel the run"
          leave="Let it go on"
          dangerous
          onConfirm={() => ask('cancel', { id: run.id })}
          onClose={() => setAsks(null)}
        >
          <p>{leftByCancel(asks)} Requests on their way are finished.</p>
        </Confirm>
      )}
    </>
  )
}

const TRIGGER_COUNTS = ['Rows', 'Delivered', 'Rejected', 'Unknown', 'Unsent'].map(
  name => [name, 'number'] as const,
)

function Progress({ run, events }: { readonly run: RunView; readonly events: EventsState }): ReactElement {
  const now = useNow(events === 'over' ? 60_000 : 500)
  const { startedAt, endedAt } = run
  const endMs = endedAt === null ? now : Date.parse(endedAt)
  const facts = [
    ['Started', startedAt === null ? 'not yet' : <Time at={startedAt} exact />],
    [
      endedAt !== null ? 'Took' : run.status === 'held' ? 'Open for' : 'Running for',
      startedAt === null ? '' : duration(Math.max(0, endMs - Date.parse(startedAt))),
    ],
    [
      'Rows read',
      run.rowsRead === 0 && run.status !== 'held' && !hasEnded(run) ? 'not known yet' : count(run.rowsRead),
    ],
    ...(run.rowsInvalid === 0
      ? []
      : [['Invalid rows', <strong className="bad">{count(run.rowsInvalid)}</strong>] as const]),
  ] as const
  return (
    <Section title="Progress">
      <Facts facts={facts} />
      <RunTimeline run={run} now={now} />
      <ListTable
        label="By trigger"
        className="triggers"
        items={triggersWithRows(run)}
        columns={['Trigger', 'How far', ...TRIGGER_COUNTS, ['Requests', 'number']]}
      >
        {([trigger, counts]) => (
          <tr key={trigger}>
            <th scope="row">{trigger}</th>
            <td>
              <Bar counts={counts} label={trigger} />
            </td>
            <td className="number">{count(counts.detected)}</td>
            <td className="number">{count(counts.delivered)}</td>
            {failures(counts.rejected)}
            {failures(counts.unknown)}
            {failures(counts.unsent)}
            <td className="number">{count(counts.requests)}</td>
          </tr>
        )}
      </ListTable>
    </Section>
  )
}

const failures = (value: number): ReactElement => (
  <td className="number">{value === 0 ? '' : <strong className="bad">{count(value)}</strong>}</td>
)

type Counts = NonNullable<RunView['triggers']['added']>

function Bar({ counts, label }: { readonly counts: Counts; readonly label: string }): ReactElement {
  const { detected, delivered, rejected, unknown, unsent } = counts
  const { failed } = totalsOf({ triggers: { added: counts } })
  return (
    <svg
      className="bar"
      viewBox="0 0 100 8"
      preserveAspectRatio="none"
      role="img"
      aria-label={`${label}: ${count(delivered)} of ${count(detected)} delivered, ${count(rejected + unknown + unsent)} not`}
    >
      <rect width="100" height="8" className="bar-back" />
      {detected === 0 ? null : (
        <>
          <rect width={(100 * delivered) / detected} height="8" className="bar-good" />
          <rect
            x={(100 * delivered) / detected}
            width={(100 * failed) / detected}
            height="8"
            className="bar-bad"
          />
        </>
      )}
    </svg>
  )
}
