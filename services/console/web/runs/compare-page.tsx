/** Two runs of a sync side by side, with their differences. The address names both runs. */
import type { RunView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link, useSearch } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { call } from '../api/client.ts'
import { figuresQuery, runQuery } from '../api/queries.ts'
import { hasEnded } from '../api/follow-run.ts'
import { useMay } from '../api/session.ts'
import { SyncName, useSyncTitle } from '../syncs/sync-name.tsx'
import { ButtonLink } from '../ui/button.tsx'
import { many } from '../ui/format.ts'
import { ListTable } from '../ui/list-table.tsx'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { HttpStatus, Outcome } from '../ui/status.tsx'
import {
  comparedErrors,
  comparedLatency,
  comparedRows,
  comparedStatuses,
  comparedTimes,
  reasonOf,
  type ComparedLine,
  type Two,
} from './compare-runs.ts'
import { DocumentsOfRuns } from './documents-of-runs.tsx'
import { RunState } from './run-state.tsx'

export function ComparePage(): ReactElement {
  const { before = '', after = '' } = useSearch({ from: '/runs/compare' })
  const one = useQuery({ ...runQuery(before), enabled: before !== '' })
  const other = useQuery({ ...runQuery(after), enabled: after !== '' })
  if (before === '' || after === '')
    return (
      <Page title="Two runs">
        <Empty title="Tick two runs of a sync in the list of runs.">
          <ButtonLink to="/runs">To the runs</ButtonLink>
        </Empty>
      </Page>
    )
  if (one.data === undefined || other.data === undefined)
    return (
      <Page title="Two runs">
        {one.error === null && other.error === null ? (
          <Loading lines={8} />
        ) : (
          <Trouble error={one.error ?? other.error} />
        )}
      </Page>
    )
  if (one.data.sync !== other.data.sync)
    return (
      <Page title="Two runs">
        <Empty title={`These are runs of two syncs: ${one.data.sync} and ${other.data.sync}.`}>
          <ButtonLink to="/runs">To the runs</ButtonLink>
        </Empty>
      </Page>
    )
  return <Compared runs={{ before: one.data, after: other.data }} />
}

function Compared({ runs }: { readonly runs: Two<RunView> }): ReactElement {
  const { before, after } = runs
  const mayRead = useMay('read')
  const title = useSyncTitle(before.sync)
  return (
    <Page
      title={`Two runs of ${title ?? before.sync}`}
      lead={
        <Link to="/syncs/$name" params={{ name: before.sync }}>
          <SyncName name={before.sync} />
        </Link>
      }
      actions={
        <Link to="/runs/compare" search={{ before: after.id, after: before.id }} className="button" replace>
          Swap
        </Link>
      }
    >
      <div className="two-runs">
        <OneRun title="Before" run={before} />
        <OneRun title="After" run={after} />
      </div>
      <Lines title="Rows" lines={comparedRows(runs)} />
      <Lines title="Time" lines={comparedTimes(runs)} />
      <Requests runs={runs} />
      {mayRead ? <Errors runs={runs} /> : null}
      <DocumentsOfRuns runs={runs} />
    </Page>
  )
}

function OneRun({ title, run }: { readonly title: string; readonly run: RunView }): ReactElement {
  return (
    <Section title={title}>
      <p className="group-head">
        <RunState run={run} />
        <Link to="/runs/$id" params={{ id: run.id }}>
          <code>{run.id}</code>
        </Link>
      </p>
      <p className="quiet">
        {run.startedAt === null ? 'not started' : <Time at={run.startedAt} exact />} · {run.cause}
        {run.by === undefined ? '' : `, by ${run.by}`}
      </p>
    </Section>
  )
}

interface LinesProps {
  readonly title: string
  readonly lines: readonly ComparedLine[]
  readonly note?: string
}

function Lines({ title, lines, note }: LinesProps): ReactElement {
  return (
    <Section title={title}>
      <ListTable
        label={title}
        className="even compared"
        items={lines}
        columns={['Figure', ['Before', 'number'], ['After', 'number'], ['Difference', 'number']]}
      >
        {({ what, before, after, difference }) => (
          <tr key={what}>
            <th scope="row">{what}</th>
            <td className="number">{before}</td>
            <td className="number">{after}</td>
            <td className="number">{difference === '' ? '' : <strong>{difference}</strong>}</td>
          </tr>
        )}
      </ListTable>
      {note === undefined ? null : <p className="pad quiet">{note}</p>}
    </Section>
  )
}

function useAnswers({ id }: RunView, enabled: boolean) {
  return useQuery({
    queryKey: ['answers', id],
    queryFn: ({ signal }) => call('getRunAnswers', { id }, { signal }),
    retry: false,
    enabled,
  })
}

function useBothAnswers({ before, after }: Two<RunView>) {
  const may = useMay('read')
  const [one, other] = [useAnswers(before, may), useAnswers(after, may)]
  const data =
    one.data === undefined || other.data === undefined ? null : { before: one.data, after: other.data }
  return { data, error: one.error ?? other.error }
}

/** Latencies, and the answers by status, which want the role `read`. */
function Requests({ runs }: { readonly runs: Two<RunView> }): ReactElement {
  const { before, after } = runs
  const old = useQuery(figuresQuery(before.id, hasEnded(before)))
  const now = useQuery(figuresQuery(after.id, hasEnded(after)))
  const { data: answers } = useBothAnswers(runs)
  const error = old.error ?? now.error
  if (old.data === undefined || now.data === undefined)
    return <Section title="Requests">{error === null ? <Loading /> : <Trouble error={error} />}</Section>
  const statuses = answers === null ? [] : comparedStatuses(answers)
  const isCut = answers !== null && !(answers.before.isWhole && answers.after.isWhole)
  return (
    <Lines
      title="Requests"
      lines={[...comparedLatency({ before: old.data, after: now.data }), ...statuses]}
      {...(isCut ? { note: 'A run has more attempts than were counted by status.' } : {})}
    />
  )
}

function Errors({ runs }: { readonly runs: Two<RunView> }): ReactElement {
  const { data, error } = useBothAnswers(runs)
  if (data === null)
    return <Section title="Errors">{error === null ? <Loading /> : <Trouble error={error} />}</Section>
  const { come, gone, stayed } = comparedErrors(data)
  if (come.length + gone.length + stayed.length === 0)
    return (
      <Section title="Errors">
        <p className="pad quiet">No attempt of either run failed.</p>
      </Section>
    )
  return (
    <Section title="Errors">
      <ul className="groups">
        {come.map(each => (
          <Failed key={reasonOf(each)} failed={each} is="new" told={inAttempts(each.attempts)} />
        ))}
        {gone.map(each => (
          <Failed key={reasonOf(each)} failed={each} is="gone" told={`${inAttempts(each.attempts)} before`} />
        ))}
        {stayed.map(each => (
          <Failed
            key={reasonOf(each)}
            failed={each}
            is="in both"
            told={`${inAttempts(each.attemptsBefore)} before, ${inAttempts(each.attempts)} after`}
          />
        ))}
      </ul>
    </Section>
  )
}

const inAttempts = (attempts: number): string => many(attempts, 'attempt', 'attempts')

interface FailedProps {
  readonly failed: ReturnType<typeof comparedErrors>['come'][number]
  readonly is: 'new' | 'gone' | 'in both'
  readonly told: string
}

function Failed({ failed: { status, outcome, error }, is, told }: FailedProps): ReactElement {
  return (
    <li>
      <div className="group-head">
        <strong>{is}</strong>
        <HttpStatus status={status} />
        <Outcome outcome={outcome} />
        <span className="quiet">{told}</span>
      </div>
      <p className="group-error">
        <ServerMessage text={error ?? 'No reason is known.'} quotes />
      </p>
    </li>
  )
}
