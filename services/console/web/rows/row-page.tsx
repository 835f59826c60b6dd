/** The history of one row, and its delivered state. */
import type { RowLife } from '@sluice/contracts/views/history-views'
import { useQuery } from '@tanstack/react-query'
import { Link, useParams, useSearch } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { ask } from '../api/commands.ts'
import { call } from '../api/client.ts'
import { useMay, whyOff } from '../api/session.ts'
import { LinesThatDiffer } from '../editor/lines-that-differ.tsx'
import { withoutStatus } from '../runs/first-cause.tsx'
import { useGoToRun } from '../runs/go-to-run.ts'
import { ReplayDialog } from '../requests/replay-dialog.tsx'
import { Empty, Facts, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { Confirm } from '../ui/dialog.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { Badge, HttpStatus, Outcome } from '../ui/status.tsx'
import { duration, many, pathOf } from '../ui/format.ts'
import { toastError } from '../ui/toast.tsx'

const EVERY_MS = 5_000

export function RowPage(): ReactElement {
  const { name } = useParams({ from: '/syncs/$name/row' })
  const { key = '' } = useSearch({ from: '/syncs/$name/row' })
  const { data, error, isPending } = useQuery({
    queryKey: ['row', name, key],
    queryFn: ({ signal }) => call('getRow', { name, key }, { signal }),
    enabled: key !== '',
    refetchInterval: EVERY_MS,
    retry: false,
  })
  const lead = (
    <>
      A row of{' '}
      <Link to="/syncs/$name" params={{ name }}>
        {name}
      </Link>
    </>
  )
  return (
    <Page
      title={key === '' ? 'Which row?' : key}
      lead={lead}
      {...(data === undefined ? {} : { actions: <Actions life={data} /> })}
    >
      {key === '' ? (
        <Section title="No key">
          <Empty title="A row is found by its key.">
            <p>The page of the sync asks for it.</p>
          </Empty>
        </Section>
      ) : isPending ? (
        <Loading lines={8} />
      ) : data === undefined ? (
        <Trouble error={error} />
      ) : (
        <Life life={data} />
      )}
    </Page>
  )
}

function Actions({ life: { sync, key, retry } }: { readonly life: RowLife }): ReactElement {
  const follow = useGoToRun()
  const [replays, setReplays] = useState(false)
  const [discards, setDiscards] = useState(false)
  const [mayRun, mayOperate] = [useMay('run'), useMay('operate')]
  return (
    <>
      <button
        type="button"
        className="danger"
        disabled={!mayOperate || retry === null}
        title={mayOperate ? undefined : whyOff('operate')}
        onClick={() => setDiscards(true)}
      >
        Discard…
      </button>
      <button
        type="button"
        disabled={!mayOperate}
        title={mayOperate ? undefined : whyOff('operate')}
        onClick={() => setReplays(true)}
      >
        Replay…
      </button>
      <button
        type="button"
        className="primary"
        disabled={!mayRun || retry === null}
        title={mayRun ? undefined : whyOff('run')}
        onClick={() => void follow(ask('retry', { name: sync, key })).catch(toastError)}
      >
        Retry now
      </button>
      {discards ? (
        <Confirm
          title={`Discard the row ${key}?`}
          action="Discard"
          dangerous
          onConfirm={() => follow(ask('discard', { name: sync, key }))}
          onClose={() => setDiscards(false)}
        >
          <p>It is not sent again until it changes, or until a resync.</p>
        </Confirm>
      ) : null}
      {replays ? (
        <ReplayDialog sync={sync} choice={{ keys: [key] }} onClose={() => setReplays(false)} />
      ) : null}
    </>
  )
}

const STATES: { readonly [state in NonNullable<RowLife['state']>['is']]: string } = {
  absent: 'not there',
  present: 'delivered',
  'content-uncertain': 'delivered, with contents that are not certain',
  'existence-uncertain': 'perhaps delivered',
  'under-way': 'being sent',
}

/** A row that waits for a retry is there as it was before. */
const stateInWords = ({ is }: NonNullable<RowLife['state']>, waits: boolean): string =>
  is === 'present' && waits ? 'delivered, as it was before' : STATES[is]

function Life({ life }: { readonly life: RowLife }): ReactElement {
  const { state, retry, muted, captured, changes, attempts, more, sync, key } = life
  if (state === null && changes.length === 0 && attempts.length === 0)
    return (
      <Section title="Sluice does not know this row">
        <Empty title={`No run of ${sync} has sent a row with this key.`}>
          <p>A key is written as text, and a composite one as a JSON array: ["DE", "100"].</p>
        </Empty>
      </Section>
    )
  return (
    <>
      <Section title="At the destination">
        <Facts
          facts={[
            ['State', state === null ? 'unknown' : stateInWords(state, retry !== null)],
            ...(state?.certain === false
              ? ([['Certain', <Badge key="c" tone="warn" text="no" />]] as const)
              : []),
            ...(state === null ? [] : ([['Since', <Time key="since" at={state.since} exact />]] as const)),
            [
              'Waits for a retry',
              retry === null
                ? 'no'
                : `yes, after ${many(retry.runs, 'run', 'runs')} and ${many(retry.attempts, 'attempt', 'attempts')}`,
            ],
            ...(muted ? ([['Discarded', 'yes: it is sent again once it differs']] as const) : []),
          ]}
        />
        {retry === null ? null : (
          <p className="group-error pad">
            <HttpStatus status={retry.status} /> <Outcome outcome={retry.outcome} />{' '}
            <ServerMessage text={withoutStatus(retry)} quotes={retry.status !== null} />
          </p>
        )}
        {state === null || state.row === null ? null : (
          <>
            <h3 className="pad">Last delivered row</h3>
            <pre className="code flat" tabIndex={0}>
              {JSON.stringify(state.row, null, 2)}
            </pre>
          </>
        )}
        {captured === null || Object.keys(captured).length === 0 ? null : (
          <Facts
            facts={Object.entries(captured).map(
              ([name, value]) => [`captured.${name}`, JSON.stringify(value)] as const,
            )}
          />
        )}
      </Section>
      <Changes changes={changes} />
      <Attempts attempts={attempts} sync={sync} rowKey={key} />
      {more ? <p className="quiet">There is more than this page shows.</p> : null}
    </>
  )
}

function Changes({ changes }: Pick<RowLife, 'changes'>): ReactElement {
  return (
    <Section title="Changes">
      {changes.length === 0 ? (
        <p className="pad quiet">No change of it is held any more.</p>
      ) : (
        <ol className="groups">
          {withoutRepeats(changes).map(({ change, again }, index) => (
            <li key={index}>
              <div className="group-head">
                <Badge
                  tone={change.op === 'removed' ? 'warn' : change.op === 'settled' ? 'calm' : 'busy'}
                  text={change.op}
                />
                <Time at={change.at} />
                {change.run === null ? (
                  <small>run {change.runNumber}</small>
                ) : (
                  <Link to="/runs/$id" params={{ id: change.run }}>
                    run {change.runNumber}
                  </Link>
                )}
                {change.source === undefined ? null : <Origin source={change.source} />}
                {change.muted ? <small>discarded</small> : null}
                {again.length === 0 ? null : (
                  <small>
                    tried since <Time at={again.at(-1)?.at ?? change.at} />, in{' '}
                    {many(again.length + 1, 'run', 'runs')}
                  </small>
                )}
              </div>
              {change.before === null && change.after === null ? null : (
                <LinesThatDiffer
                  before={textOf(change.before)}
                  after={textOf(change.after)}
                  label={`Before and after: ${change.op} in run ${change.runNumber}`}
                />
              )}
              {change.failed === null ? null : (
                <p className="group-error bad">
                  <ServerMessage text={change.failed.error ?? ''} quotes />
                </p>
              )}
            </li>
          ))}
        </ol>
      )}
    </Section>
  )
}

/** The entry of the source's log that a stream has made the change of. */
function Origin({
  source: { committedAt, position },
}: {
  readonly source: NonNullable<ChangeOfRow['source']>
}): ReactElement {
  return (
    <small>
      {committedAt === null ? null : (
        <>
          committed <Time at={committedAt} exact />{' '}
        </>
      )}
      at position <code>{position}</code>
    </small>
  )
}

type ChangeOfRow = RowLife['changes'][number]

/** Puts a change that runs tried again in one place, with its earlier tries. The newest stays first. */
function withoutRepeats(
  changes: readonly ChangeOfRow[],
): readonly { readonly change: ChangeOfRow; readonly again: readonly ChangeOfRow[] }[] {
  const found: { readonly change: ChangeOfRow; readonly again: ChangeOfRow[] }[] = []
  for (const change of changes) {
    const last = found.at(-1)
    if (last !== undefined && isSameChange(last.change, change)) last.again.push(change)
    else found.push({ change, again: [] })
  }
  return found
}

const isSameChange = (one: ChangeOfRow, other: ChangeOfRow): boolean =>
  [one, other].every(({ op, muted }) => op !== 'settled' && !muted) &&
  one.op === other.op &&
  textOf(one.before) === textOf(other.before) &&
  textOf(one.after) === textOf(other.after)

const textOf = (row: RowLife['changes'][number]['before']): string =>
  row === null
    ? ''
    : Object.entries(row)
        .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
        .join('\n')

interface AttemptsProps extends Pick<RowLife, 'attempts'> {
  readonly sync: string
  readonly rowKey: string
}

function Attempts({ attempts, sync, rowKey }: AttemptsProps): ReactElement {
  return (
    <Section title="Requests">
      {attempts.length === 0 ? (
        <p className="pad quiet">No request of it is held.</p>
      ) : (
        <ul className="groups">
          {attempts.map(
            ({ requestId, attempt, method, url, status, outcome, startedAt, durationMs, error }) => (
              <li key={`${requestId}.${attempt}`}>
                <div className="group-head">
                  <HttpStatus status={status} />
                  <Outcome outcome={outcome} />
                  <Link to="/requests" search={{ sync, key: rowKey, open: `${requestId}.${attempt}` }}>
                    <span className="path">
                      {method} {pathOf(url)}
                    </span>
                  </Link>
                  <small>
                    <Time at={startedAt} /> · {duration(durationMs)}
                  </small>
                </div>
                {error === null ? null : (
                  <p className="group-error">
                    <ServerMessage text={error} quotes />
                  </p>
                )}
              </li>
            ),
          )}
        </ul>
      )}
    </Section>
  )
}
