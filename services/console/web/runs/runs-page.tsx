/** The history of runs, the newest first. */
import type { RunView } from '@sluice/contracts/api'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { runsQuery, syncsQuery, type RunsFilter } from '../api/queries.ts'
import { count, duration } from '../ui/format.ts'
import { ListTable, More } from '../ui/list-table.tsx'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { RunStatus } from '../ui/status.tsx'
import { totalsOf } from './totals.ts'

export function RunsPage(): ReactElement {
  const { sync } = useSearch({ from: '/runs' })
  const navigate = useNavigate()
  const { data: syncs } = useQuery(syncsQuery)
  return (
    <Page title="Runs" lead="Each run compares the model with what was delivered, and sends what differs.">
      <Section
        title={sync === undefined ? 'All syncs' : sync}
        aside={
          <label className="inline">
            <span>Sync</span>
            <select
              value={sync ?? ''}
              onChange={({ target }) =>
                void navigate({ to: '/runs', search: target.value === '' ? {} : { sync: target.value } })
              }
            >
              <option value="">All</option>
              {syncs?.syncs.map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        }
      >
        <RunsTable filter={{ sync }} />
      </Section>
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
  if (isPending) return <Loading lines={ofOneSync ? 2 : 6} />
  if (data === undefined) return <Trouble error={error} />
  const runs = data.pages.flatMap(page => page.runs)
  if (runs.length === 0)
    return (
      <Empty title="No run yet.">
        <p>A run starts when somebody asks for it, or by the schedule of its sync.</p>
        {ofOneSync ? null : (
          <p>
            <Link to="/" className="button">
              To the syncs
            </Link>
          </p>
        )}
      </Empty>
    )
  return (
    <>
      <ListTable
        label="Runs"
        items={runs}
        columns={[
          ...['State', ...(ofOneSync ? [] : ['Sync']), 'Started'],
          'Took',
          ['Delivered', 'number'],
          ['Not delivered', 'number'],
          'Cause',
        ]}
      >
        {run => runLine(run, ofOneSync)}
      </ListTable>
      <More query={query}>Older runs</More>
    </>
  )
}

function runLine(run: RunView, ofOneSync: boolean): ReactElement {
  const { id, sync, status, startedAt, endedAt, cause } = run
  const { delivered, failed } = totalsOf(run)
  const tookMs = startedAt === null || endedAt === null ? null : Date.parse(endedAt) - Date.parse(startedAt)
  return (
    <tr key={id}>
      <td>
        <Link to="/runs/$id" params={{ id }} className="bare" aria-label={`Run ${id}: ${status}`}>
          <RunStatus status={status} />
        </Link>
      </td>
      {ofOneSync ? null : (
        <td>
          <Link to="/syncs/$name" params={{ name: sync }}>
            {sync}
          </Link>
        </td>
      )}
      <td>{startedAt === null ? 'not yet' : <Time at={startedAt} />}</td>
      <td>{tookMs === null ? '' : duration(tookMs)}</td>
      <td className="number">{count(delivered)}</td>
      <td className="number">{failed === 0 ? '' : <strong className="bad">{count(failed)}</strong>}</td>
      <td>{cause}</td>
    </tr>
  )
}
