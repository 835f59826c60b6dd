/**
 * All syncs as a table: sorted, and filtered by text, state, label, source and destination, as its address
 * says.
 */
import { SUSPENDED, syncInWords } from '@sluice/contracts/views/state-words'
import type { SyncsPage } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useDeferredValue, useMemo, useState, type ReactElement, type ReactNode } from 'react'
import { resourcesQuery } from '../api/queries.ts'
import { MinuteBars, RunBars } from '../overview/run-bars.tsx'
import { RunButton } from '../runs/run-button.tsx'
import { totalsOf } from '../runs/totals.ts'
import { ChosenFilter } from '../ui/chosen-filter.tsx'
import { DataTable, type DataColumn } from '../ui/data-table.tsx'
import { FindFilter } from '../ui/find-filter.tsx'
import { count, rows } from '../ui/format.ts'
import { Labels } from '../ui/labels.tsx'
import { Empty, Section, Time } from '../ui/parts.tsx'
import { Named } from '../ui/named.tsx'
import { WaitLine } from '../ui/wait-line.tsx'
import { streamInWords } from './stream-in-words.ts'
import { isOfRun, isStreaming, streamOf, SyncState } from './sync-state.tsx'

type SyncView = SyncsPage['syncs'][number]

const ROW_HEIGHT = 58

/** The states that the filter offers. A sync without a run has none. */
const STATES = [
  'running',
  'streaming',
  'queued',
  'failing',
  'held',
  'success',
  'warning',
  'failed',
  'cancelled',
  'refused',
  SUSPENDED,
]

export function SyncTable({ syncs }: { readonly syncs: readonly SyncView[] }): ReactElement {
  const { state, label, source, destination, sort } = useSearch({ from: '/' })
  const navigate = useNavigate()
  const [letters, setLetters] = useState('')
  // Typing has priority over showing matches.
  const searched = useDeferredValue(letters).toLowerCase()
  const sourceOf = useSources()
  const set = (changed: { readonly [filter: string]: string | undefined }): void =>
    void navigate({ to: '/', search: filter => ({ ...filter, ...changed }), replace: true })
  const shown = useMemo(
    () =>
      syncs.filter(
        sync =>
          `${sync.name} ${sync.title ?? ''} ${sync.model} ${sync.destination}`
            .toLowerCase()
            .includes(searched) &&
          (state === undefined || syncInWords(sync) === state) &&
          (label === undefined || sync.labels?.includes(label) === true) &&
          (destination === undefined || sync.destination === destination) &&
          (source === undefined || sourceOf.get(sync.model) === source),
      ),
    [destination, label, searched, source, sourceOf, state, syncs],
  )
  const labels = useMemo(() => [...new Set(syncs.flatMap(each => each.labels ?? []))].sort(), [syncs])
  return (
    <Section title={syncs.length === 1 ? '1 sync' : `${count(syncs.length)} syncs`}>
      <div className="filters pad">
        <FindFilter
          label="Filter the syncs by name, model or destination"
          placeholder="Name, model or destination"
          value={letters}
          onChange={setLetters}
        />
        <ChosenFilter
          label="State"
          value={state}
          choices={STATES}
          onChange={value => set({ state: value })}
        />
        {labels.length === 0 && label === undefined ? null : (
          <ChosenFilter
            label="Label"
            value={label}
            choices={labels}
            onChange={value => set({ label: value })}
          />
        )}
        <ChosenFilter
          label="Source"
          value={source}
          choices={[...new Set(sourceOf.values())].sort()}
          onChange={value => set({ source: value })}
        />
        <ChosenFilter
          label="Destination"
          value={destination}
          choices={[...new Set(syncs.map(sync => sync.destination))].sort()}
          onChange={value => set({ destination: value })}
        />
      </div>
      {shown.length === 0 ? (
        <Empty title="No sync fits these filters." />
      ) : (
        <DataTable
          label="Syncs"
          className="syncs"
          items={shown}
          columns={COLUMNS}
          idOf={({ name }) => name}
          height={ROW_HEIGHT}
          sort={sort}
          onSort={value => set({ sort: value })}
        />
      )}
    </Section>
  )
}

/** The name of each model's source. */
function useSources(): ReadonlyMap<string, string> {
  const { data } = useQuery(resourcesQuery)
  return useMemo(
    () =>
      new Map(
        data?.resources.flatMap(({ kind, name, spec: { source } }) =>
          kind === 'model' && typeof source === 'string' ? [[name, source] as const] : [],
        ),
      ),
    [data],
  )
}

const undelivered = ({ rows: { failed, heldBack } }: SyncView): number => failed + heldBack
const lastAt = ({ lastRun }: SyncView): string | null => lastRun?.endedAt ?? lastRun?.startedAt ?? null

const COLUMNS: readonly DataColumn<SyncView>[] = [
  { name: 'Sync', value: ({ name, title }) => title ?? name, cell: sync => <Name sync={sync} /> },
  { name: 'State', value: syncInWords, cell: sync => <State sync={sync} /> },
  { name: 'Last run', value: lastAt, cell: sync => <LastRun sync={sync} /> },
  {
    ...{ name: 'Not delivered', looks: 'number', value: undelivered },
    cell: sync => <Undelivered sync={sync} />,
  },
  {
    name: 'Runs',
    cell: ({ runs = [], stream }) =>
      stream === undefined ? <RunBars runs={runs} /> : <MinuteBars minutes={stream.minutes} />,
  },
  { name: 'Next run', value: ({ nextRunAt }) => nextRunAt, cell: nextOf },
  {
    ...{ name: 'Actions', looks: 'hidden' },
    cell: ({ name, lastRun }) => <RunButton sync={name} lastRun={lastRun} small />,
  },
]

function Name({
  sync: { name, title, labels, model, destination, waiting },
}: {
  readonly sync: SyncView
}): ReactElement {
  return (
    <span className="sync-name">
      <Link to="/syncs/$name" params={{ name }}>
        <Named name={name} title={title} />
      </Link>
      <small>
        {model} → {destination} <Labels labels={labels} />
      </small>
      {waiting.map(wait => (
        <span key={`${wait.kind} ${wait.since}`} className="sync-wait">
          <WaitLine wait={wait} />
        </span>
      ))}
    </span>
  )
}

function State({ sync }: { readonly sync: SyncView }): ReactElement {
  const { lastRun } = sync
  if (lastRun === null || !isOfRun(sync)) return <SyncState sync={sync} />
  return (
    <Link to="/runs/$id" params={{ id: lastRun.id }} className="bare">
      <SyncState sync={sync} />
    </Link>
  )
}

function LastRun({ sync }: { readonly sync: SyncView }): ReactNode {
  const at = lastAt(sync)
  if (sync.lastRun === null || at === null) return null
  if (isStreaming(sync))
    return (
      <span className="sync-last">
        <span>
          since <Time at={sync.stream.since} />
        </span>
        <small>{streamInWords(streamOf(sync))}</small>
      </span>
    )
  const { delivered, detected } = totalsOf(sync.lastRun)
  const isNothing = detected === 0 && sync.lastRun.status === 'success'
  const whole = sync.lastRun.status === 'running' && detected > 0 ? ` of ${count(detected)}` : ''
  return (
    <span className="sync-last">
      <Time at={at} />
      <small>{isNothing ? 'nothing to send' : `${count(delivered)}${whole} delivered`}</small>
    </span>
  )
}

function Undelivered({ sync }: { readonly sync: SyncView }): ReactNode {
  if (undelivered(sync) === 0) return null
  return (
    <Link to="/syncs/$name" params={{ name: sync.name }} title={`${rows(undelivered(sync))} not delivered`}>
      <strong className="bad">{count(undelivered(sync))}</strong>
    </Link>
  )
}

function nextOf({ nextRunAt, paused, schedule, state }: SyncView): ReactNode {
  if (paused) return <span className="quiet">paused</span>
  if (state === 'held') return <span className="quiet">waits for a decision</span>
  if (nextRunAt !== null) return <Time at={nextRunAt} isToCome />
  return (
    <span className="quiet">
      {schedule === 'manual' ? 'when asked' : schedule === 'continuous' ? 'streams' : ''}
    </span>
  )
}
