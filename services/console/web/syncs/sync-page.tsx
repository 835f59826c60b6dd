/** The page of one sync: its figures, its runs, its failed rows, its definition, and its commands. */
import type { ResourceView, SyncView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useState, type ReactElement, type ReactNode } from 'react'
import { ApiError } from '../api/client.ts'
import { ask } from '../api/commands.ts'
import { resourceQuery, resourcesQuery, syncsQuery } from '../api/queries.ts'
import { useMay, whyOff } from '../api/session.ts'
import { Lineage } from '../resources/lineage.tsx'
import { useGoToRun } from '../runs/go-to-run.ts'
import { RunButton } from '../runs/run-button.tsx'
import { FailedRows } from '../runs/run-errors.tsx'
import { Notices } from '../runs/notices.tsx'
import { RunsTable } from '../runs/runs-page.tsx'
import { Confirm } from '../ui/dialog.tsx'
import { ForRole } from '../ui/for-role.tsx'
import { rows } from '../ui/format.ts'
import { Labels } from '../ui/labels.tsx'
import { titleIn } from '../ui/named.tsx'
import { Facts, Loading, Page, Section, Trouble } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { WaitLine } from '../ui/wait-line.tsx'
import { limitsInWords } from './limits-in-words.ts'
import { StreamSection } from './stream-section.tsx'
import { streamOf } from './sync-state.tsx'
import { SyncFigures } from './sync-figures.tsx'
import { TroubleActions } from './trouble-actions.tsx'

export function SyncPage(): ReactElement {
  const { name } = useParams({ from: '/syncs/$name' })
  const { data, error, isPending, isFetchedAfterMount } = useQuery(syncsQuery)
  const sync = data?.syncs.find(each => each.name === name)
  // A sync that was created just now is in the next list.
  if (isPending || (sync === undefined && !isFetchedAfterMount))
    return (
      <Page title={name}>
        <Loading lines={8} />
      </Page>
    )
  if (data === undefined)
    return (
      <Page title={name}>
        <Trouble error={error} />
      </Page>
    )
  if (sync === undefined)
    return (
      <Page title={name}>
        <Trouble error={new ApiError(404, `There is no sync \`${name}\`.`)} />
      </Page>
    )
  const failedRows = <FailedRows key="failed rows" sync={name} title="Failed rows" />
  const runs = (
    <Section key="runs" title="Runs">
      <RunsTable filter={{ sync: name }} ofOneSync />
    </Section>
  )
  // Rows that were not delivered come first, with their cause. If there are none, the runs do. Keys keep what
  // somebody has open, such as a question, when the order changes.
  const lacksRows = sync.rows.failed + sync.rows.heldBack > 0
  // The trouble of a run tells of its waits.
  const waits = sync.trouble?.run === sync.lastRun?.id ? [] : sync.waiting
  return (
    <Page
      title={sync.title ?? name}
      lead={
        <>
          {sync.title === undefined ? null : (
            <>
              <code>{name}</code> ·{' '}
            </>
          )}
          <Link to="/resources/$kind/$name" params={{ kind: 'model', name: sync.model }}>
            <ResourceName kind="model" name={sync.model} />
          </Link>{' '}
          →{' '}
          <Link to="/resources/$kind/$name" params={{ kind: 'destination', name: sync.destination }}>
            <ResourceName kind="destination" name={sync.destination} />
          </Link>
        </>
      }
      actions={
        <>
          <ForRole role="edit" label="Edit">
            <Link to="/syncs/$name/edit" params={{ name }} className="button">
              Edit
            </Link>
          </ForRole>
          <RunButton sync={name} lastRun={sync.lastRun} />
        </>
      }
    >
      {sync.trouble === undefined ? null : (
        <div className="banner" role="status" data-tone={sync.trouble.isFailing ? 'bad' : 'warn'}>
          <p>
            <ServerMessage text={sync.trouble.text} quotes={sync.trouble.quotesAnswer === true} />
          </p>
          <TroubleActions trouble={sync.trouble} />
        </div>
      )}
      {waits.length === 0 ? null : (
        <div className="banner" role="status">
          {waits.map(wait => (
            <p key={`${wait.kind} ${wait.since}`}>
              <WaitLine wait={wait} />
            </p>
          ))}
        </div>
      )}
      <SyncFigures sync={sync} />
      {sync.stream === undefined ? null : (
        <StreamSection stream={streamOf({ ...sync, stream: sync.stream })} />
      )}
      {sync.stream === undefined || sync.lastRun === null ? null : <Notices of={sync.lastRun} />}
      {lacksRows ? [failedRows, runs] : [runs, failedRows]}
      <Lineage of={{ kind: 'sync', name }} />
      <Definition name={name} />
      <FindRow name={name} />
      <Grave name={name} lastRun={sync.lastRun} />
    </Page>
  )
}

interface ResourceNameProps {
  readonly kind: 'model' | 'destination'
  readonly name: string
}

/** The title of a resource, or its name without one. */
function ResourceName({ kind, name }: ResourceNameProps): ReactElement {
  const { data: title } = useQuery({
    ...resourcesQuery,
    select: ({ resources }) => {
      const found = resources.find(each => each.kind === kind && each.name === name)
      return found === undefined ? undefined : titleIn(found.spec)
    },
  })
  return <bdi>{title ?? name}</bdi>
}

function Definition({ name }: { readonly name: string }): ReactElement {
  const { data, error, isPending } = useQuery(resourceQuery('sync', name))
  if (isPending)
    return (
      <Section title="Settings">
        <Loading lines={1} />
      </Section>
    )
  if (data === undefined)
    return (
      <Section title="Settings">
        <Trouble error={error} />
      </Section>
    )
  return (
    <Section title="Settings">
      <Facts facts={factsOf(data)} />
    </Section>
  )
}

const FIRST_RUNS: { readonly [firstRun: string]: string } = {
  'skip-existing': 'skips rows that exist',
  ask: 'asks whether to send all rows',
}

/** Each label leads to the syncs that have it. */
function LabelLinks({ labels }: { readonly labels: readonly string[] }): ReactElement {
  return (
    <>
      {labels.map(label => (
        <Link key={label} to="/" search={{ label }} className="bare">
          <Labels labels={[label]} />
        </Link>
      ))}
    </>
  )
}

function factsOf({ spec }: ResourceView): readonly (readonly [string, ReactNode])[] {
  const labels = Array.isArray(spec['labels']) ? spec['labels'].map(String) : []
  const triggers = spec['triggers']
  const names = typeof triggers === 'object' && triggers !== null ? Object.keys(triggers) : []
  return [
    ['Sends', names.length === 0 ? 'nothing' : `${names.join(', ')} rows`],
    ...(labels.length === 0 ? [] : [['Labels', <LabelLinks key="labels" labels={labels} />] as const]),
    ['First run', FIRST_RUNS[String(spec['firstRun'])] ?? 'sends all rows'],
    ...(spec['limits'] === undefined ? [] : ([['Limits', limitsInWords(spec['limits'])]] as const)),
  ]
}

function FindRow({ name }: { readonly name: string }): ReactElement {
  const navigate = useNavigate()
  const [key, setKey] = useState('')
  return (
    <Section title="What happened to a row?">
      <form
        className="filters pad"
        onSubmit={event => {
          event.preventDefault()
          void navigate({ to: '/syncs/$name/row', params: { name }, search: { key } })
        }}
      >
        <label>
          <span>Its key (a composite one as a JSON array)</span>
          <input value={key} onChange={({ target }) => setKey(target.value)} />
        </label>
        <button type="submit" disabled={key === ''}>
          Show its life
        </button>
      </form>
    </Section>
  )
}

type Grave = 'resync' | 'reset'

/** Says how many rows the model had, as far as the last run tells. */
function readInWords(lastRun: SyncView['lastRun']): string {
  const read = lastRun?.rowsRead ?? 0
  return read === 0 ? '' : `The last run read ${rows(read)}.`
}

/** The commands that send many rows, or that cannot be undone. */
function Grave({ name, lastRun }: Pick<SyncView, 'name' | 'lastRun'>): ReactElement {
  const may = useMay('operate')
  const [asks, setAsks] = useState<Grave | null>(null)
  const follow = useGoToRun()
  return (
    <Section title="Start over">
      <ul className="grave">
        <li>
          <span>
            <strong>Send every row again.</strong> What was delivered stays known, so removals are still
            found.
          </span>
          <button
            type="button"
            disabled={!may}
            title={may ? undefined : whyOff('operate')}
            onClick={() => setAsks('resync')}
          >
            Resync…
          </button>
        </li>
        <li>
          <span>
            <strong>Forget what was delivered.</strong> The next run takes every row for new. Captured values
            are lost.
          </span>
          <button
            type="button"
            className="danger"
            disabled={!may}
            title={may ? undefined : whyOff('operate')}
            onClick={() => setAsks('reset')}
          >
            Reset…
          </button>
        </li>
      </ul>
      {asks === 'resync' ? (
        <Confirm
          title={`Send every row of ${name}?`}
          action="Send every row"
          onConfirm={() => follow(ask('resync', { name, as: 'added' }))}
          onClose={() => setAsks(null)}
        >
          <p>
            A run starts now and sends each row of the model by the trigger “added”. {readInWords(lastRun)}
          </p>
        </Confirm>
      ) : null}
      {asks === 'reset' ? (
        <Confirm
          title={`Forget what ${name} has delivered?`}
          action="Forget it"
          dangerous
          typed={name}
          onConfirm={() => follow(ask('reset', { name }))}
          onClose={() => setAsks(null)}
        >
          <p>
            This cannot be undone. Rows that leave the model before the next run are never removed there.{' '}
            {readInWords(lastRun)}
          </p>
        </Confirm>
      ) : null}
    </Section>
  )
}
