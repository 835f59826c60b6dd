/** The history of runs, the newest first. */
import { runInWords } from '@sluice/contracts/views/state-words'
import type { RunView } from '@sluice/contracts/api'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useMemo, useState, type ReactElement, type ReactNode } from 'react'
import { runsQuery, syncsQuery, type RunsFilter } from '../api/queries.ts'
import { ButtonLink } from '../ui/button.tsx'
import { DataTable, type DataColumn } from '../ui/data-table.tsx'
import { count, duration } from '../ui/format.ts'
import { ChosenFilter } from '../ui/chosen-filter.tsx'
import { More } from '../ui/list-table.tsx'
import { Empty, Loading, Page, Time, Trouble } from '../ui/parts.tsx'
import { streamInWords } from '../syncs/stream-in-words.ts'
import { SyncName } from '../syncs/sync-name.tsx'
import { RunState } from './run-state.tsx'
import { totalsOf } from './totals.ts'

const STATUSES = ['queued', 'running', 'held', 'success', 'warning', 'failed', 'cancelled'] as const
const CAUSES = ['schedule', 'manual', 'retry', 'resync', 'replay', 'discard', 'reset'] as const

export function RunsPage(): ReactElement {
  const { sync, status, cause, each } = useSearch({ from: '/runs' })
  const navigate = useNavigate()
  const { data: syncs } = useQuery(syncsQuery)
  const set = (changed: { readonly [filter: string]: string | undefined }): void =>
    void navigate({ to: '/runs', search: filter => ({ ...filter, ...changed }), replace: true })
  const filter = {
    sync,
    status: STATUSES.find(each => each === status),
    cause: CAUSES.find(each => each === cause),
    each: each === undefined ? undefined : true,
  }
  return (
    <Page title="Runs" lead="Each run compares the model with what was delivered, and sends what differs.">
      <div className="filters">
        <ChosenFilter
          label="Sync"
          value={sync}
          choices={syncs?.syncs.map(({ name, title = name }) => [name, title] as const) ?? []}
          onChange={value => set({ sync: value })}
        />
        <ChosenFilter
          label="State"
          value={filter.status}
          choices={STATUSES}
          onChange={value => set({ status: value })}
        />
        <ChosenFilter
          label="Cause"
          value={filter.cause}
          choices={CAUSES}
          onChange={value => set({ cause: value })}
        />
        {each === undefined ? null : (
          <button type="button" onClick={() => set({ each: undefined })}>
            Show a stream as one entry
          </button>
        )}
      </div>
      <section aria-label="Runs">
        <RunsTable filter={filter} />
      </section>
    </Page>
  )
}

export function RunsTable({
  filter,
  ofOneSync = false,
}: {
  readonly filter: RunsFilter
  readonly ofOneSync?: boolean
}): ReactElement {
  const query = useInfiniteQuery(runsQuery(filter))
  const { data, error, isPending } = query
  const [ticked, setTicked] = useState<readonly string[]>([])
  const columns = useMemo(() => {
    const tick = (id: string): void =>
      setTicked(known => (known.includes(id) ? known.filter(each => each !== id) : [...known, id]))
    return [...(ofOneSync ? OF_ONE_SYNC : COLUMNS), tickColumn(ticked, tick)]
  }, [ofOneSync, ticked])
  if (isPending) return <Loading lines={ofOneSync ? 2 : 6} />
  if (data === undefined) return <Trouble error={error} />
  const runs = data.pages.flatMap(page => page.runs)
  const isFiltered = !ofOneSync && Object.values(filter).some(value => value !== undefined)
  if (runs.length === 0)
    return (
      <Empty title={isFiltered ? 'No run fits these filters.' : 'No run yet.'}>
        <p>A run starts when somebody asks for it, or by the schedule of its sync.</p>
        {ofOneSync ? null : (
          <p>
            <ButtonLink to="/">To the syncs</ButtonLink>
          </p>
        )}
      </Empty>
    )
  return (
    <>
      <CompareTicked ticked={runs.filter(({ id }) => ticked.includes(id))} />
      <DataTable label="List of runs" className="runs" items={runs} columns={columns} idOf={({ id }) => id} />
      <More query={query}>Older runs</More>
    </>
  )
}

/** Leads to the comparison once two runs of one sync are ticked. */
function CompareTicked({ ticked }: { readonly ticked: readonly RunView[] }): ReactElement | null {
  const [after, before] = ticked
  if (after === undefined) return null
  return (
    <p className="actions" role="status">
      {before === undefined ? (
        <span className="quiet">Tick another run of {after.sync} to compare both.</span>
      ) : before.sync === after.sync ? (
        <Link to="/runs/compare" search={{ before: before.id, after: after.id }} className="button">
          Compare these two runs
        </Link>
      ) : (
        <span className="quiet">Two runs of one sync can be compared. These are of two syncs.</span>
      )}
    </p>
  )
}

/** Two runs can be ticked. */
const MOST_TICKED = 2

function tickColumn(ticked: readonly string[], tick: (id: string) => void): DataColumn<RunView> {
  return {
    name: 'Compare',
    cell: ({ id, startedAt }) => (
      <label className="tick">
        <input
          type="checkbox"
          checked={ticked.includes(id)}
          disabled={startedAt === null || (!ticked.includes(id) && ticked.length >= MOST_TICKED)}
          onChange={() => tick(id)}
        />
        <span className="hidden">Compare run {id}</span>
      </label>
    ),
  }
}

/** The server sends the newest runs first, page by page, so no column sorts. */
const COLUMNS: readonly DataColumn<RunView>[] = [
  {
    name: 'State',
    cell: run => (
      <Link
        to="/runs/$id"
        params={{ id: run.id }}
        className="bare"
        aria-label={`Run ${run.id}: ${runInWords(run)}`}
      >
        <RunState run={run} />
      </Link>
    ),
  },
  {
    name: 'Sync',
    cell: ({ sync }) => <SyncLink name={sync} />,
  },
  { name: 'Started', cell: ({ startedAt }) => (startedAt === null ? 'not yet' : <Time at={startedAt} />) },
  { name: 'Took', cell: run => (isAtWork(run) ? streamInWords(run.stream) : tookOf(run)) },
  { name: 'Delivered', looks: 'number', cell: run => count(totalsOf(run).delivered) },
  {
    name: 'Not delivered',
    looks: 'number',
    cell: run => {
      // The counts of a stream at work have each try of a row.
      const failed = run.stream?.waiting ?? totalsOf(run).failed
      return failed === 0 ? null : <strong className="bad">{count(failed)}</strong>
    },
  },
  { name: 'Cause', cell: run => <Cause run={run} /> },
]

/** Leads from a stream to the runs that it is made of. */
function Cause({ run: { sync, cause, stream, failedStarts = 1 } }: { readonly run: RunView }): ReactNode {
  const { runs = 1 } = stream ?? {}
  if (runs === 1 && failedStarts === 1) return cause
  return (
    <Link to="/runs" search={{ sync, each: 'true' }}>
      {failedStarts > 1 ? `${count(failedStarts)} failed starts` : `${count(runs)} hourly runs`}
    </Link>
  )
}

function SyncLink({ name }: { readonly name: string }): ReactElement {
  return (
    <Link to="/syncs/$name" params={{ name }}>
      <SyncName name={name} />
    </Link>
  )
}

const OF_ONE_SYNC = COLUMNS.filter(({ name }) => name !== 'Sync')

type StreamRun = RunView & { readonly stream: NonNullable<RunView['stream']> }

/** True for a stream that goes on: what it takes is its lag. */
const isAtWork = (run: RunView): run is StreamRun => run.stream !== undefined && run.status === 'running'

function tookOf({ startedAt, endedAt }: RunView): string | null {
  return startedAt === null || endedAt === null ? null : duration(Date.parse(endedAt) - Date.parse(startedAt))
}
