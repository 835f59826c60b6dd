/** The page that finds requests, and shows each beside its answer. */
import type { AttemptView } from '@sluice/contracts/api'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { attemptsQuery, type AttemptsFilter } from '../api/queries.ts'
import { SyncName } from '../syncs/sync-name.tsx'
import { DataTable, type DataColumn } from '../ui/data-table.tsx'
import { count, duration, pathOf } from '../ui/format.ts'
import { More } from '../ui/list-table.tsx'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { HttpStatus, Outcome } from '../ui/status.tsx'
import { isFiltered, RequestFilters } from './request-filters.tsx'
import { lineId, OpenRequest } from './request-detail.tsx'

export function RequestsPage(): ReactElement {
  const { open, ...filter } = useSearch({ from: '/requests' })
  const navigate = useNavigate()
  const setFilter = (changed: AttemptsFilter): void =>
    void navigate({ to: '/requests', search: { ...filter, ...changed }, replace: true })
  return (
    <Page title="Requests" lead="Each request, and what came back. Secrets are masked.">
      <RequestFilters filter={filter} onChange={setFilter} />
      <div className={open === undefined ? 'debugger' : 'debugger is-open'}>
        <Found filter={filter} open={open} />
      </div>
    </Page>
  )
}

interface FoundProps {
  readonly filter: AttemptsFilter
  readonly open: string | undefined
}

const idOf = ({ requestId, attempt }: AttemptView): string => `${requestId}.${attempt}`

function Found({ filter, open }: FoundProps): ReactElement {
  const query = useInfiniteQuery(attemptsQuery(filter))
  const { data, error, isPending } = query
  if (isPending) return <Loading lines={8} />
  if (data === undefined) return <Trouble error={error} onRetry={() => void query.refetch()} />
  const attempts = data.pages.flatMap(page => page.attempts)
  if (attempts.length === 0)
    return (
      <Section title="Requests">
        <Empty title={isFiltered(filter) ? 'No request fits these filters.' : 'No request was sent yet.'}>
          <p>A request appears here after its first attempt.</p>
        </Empty>
      </Section>
    )
  return (
    <>
      <section className="request-list" aria-label="Requests">
        <DataTable
          label="List of requests"
          className="requests"
          items={attempts}
          columns={COLUMNS}
          idOf={idOf}
          isChosen={attempt => idOf(attempt) === open}
        />
        <More query={query}>Older requests</More>
      </section>
      {open === undefined ? null : <OpenRequest open={open} />}
    </>
  )
}

/** The server sends the newest requests first, page by page, so no column sorts. */
const COLUMNS: readonly DataColumn<AttemptView>[] = [
  { name: 'Request', looks: 'request-what', cell: attempt => <OpenButton attempt={attempt} /> },
  {
    name: 'Status',
    cell: ({ status, attempt }) =>
      attempt === 0 ? <span className="quiet">not sent</span> : <HttpStatus status={status} />,
  },
  { name: 'Outcome', looks: 'request-more', cell: ({ outcome }) => <Outcome outcome={outcome} /> },
  { name: 'Sync', looks: 'request-more', cell: ({ sync }) => <SyncName name={sync} /> },
  {
    name: 'Key',
    looks: 'request-more',
    cell: ({ keys }) => (keys.length === 1 ? keys[0] : `${count(keys.length)} rows`),
  },
  {
    name: 'Took',
    looks: 'request-more number',
    cell: ({ attempt, durationMs }) => (attempt === 0 ? null : duration(durationMs)),
  },
  {
    name: 'Sent',
    looks: 'request-more',
    cell: ({ startedAt, attempt }) =>
      attempt === 0 ? null : (
        <>
          <Time at={startedAt} />
          {attempt > 1 ? <small> attempt {attempt}</small> : null}
        </>
      ),
  },
]

/** Opens the request, or closes it. A click on any place of its row does the same. */
function OpenButton({ attempt }: { readonly attempt: AttemptView }): ReactElement {
  const navigate = useNavigate()
  const { open } = useSearch({ from: '/requests' })
  const { method, url, status, outcome } = attempt
  const answer = attempt.attempt === 0 ? 'not sent' : (status ?? 'no answer')
  const isOpen = idOf(attempt) === open
  return (
    <button
      type="button"
      id={lineId(attempt)}
      className="request-line"
      aria-pressed={isOpen}
      aria-label={`${method} ${pathOf(url)}, ${answer}, ${outcome}`}
      onClick={() =>
        void navigate({
          to: '/requests',
          search: filter => ({ ...filter, open: isOpen ? undefined : idOf(attempt) }),
          replace: true,
        })
      }
    >
      <b>{method}</b>{' '}
      <span className="path">
        <bdi dir="ltr">{pathOf(url)}</bdi>
      </span>
    </button>
  )
}
