/** The page that finds requests, and shows each beside its answer. */
import type { AttemptView } from '@sluice/contracts/api'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { attemptsQuery, type AttemptsFilter } from '../api/queries.ts'
import { duration, pathOf } from '../ui/format.ts'
import { More } from '../ui/list-table.tsx'
import { LongList } from '../ui/long-list.tsx'
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
    <Page title="Requests" lead="Each request as it was sent, and what came back. Secrets are masked.">
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

const LINE_HEIGHT = 63

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
      <section className="card request-list" aria-label="Requests">
        <LongList items={attempts} height={LINE_HEIGHT} className="">
          {attempt => <RequestLine key={idOf(attempt)} attempt={attempt} isOpen={idOf(attempt) === open} />}
        </LongList>
        <More query={query}>Older requests</More>
      </section>
      {open === undefined ? null : <OpenRequest open={open} />}
    </>
  )
}

function RequestLine({
  attempt,
  isOpen,
}: {
  readonly attempt: AttemptView
  readonly isOpen: boolean
}): ReactElement {
  const navigate = useNavigate()
  const { method, url, status, outcome, startedAt, durationMs, keys, sync } = attempt
  return (
    <li>
      <button
        type="button"
        id={lineId(attempt)}
        className="request-line"
        aria-pressed={isOpen}
        onClick={() =>
          void navigate({
            to: '/requests',
            search: filter => ({ ...filter, open: isOpen ? undefined : idOf(attempt) }),
            replace: true,
          })
        }
      >
        <span className="request-what">
          <b>{method}</b> <span className="path">{pathOf(url)}</span>
        </span>
        <span className="request-signs">
          <HttpStatus status={status} />
          <Outcome outcome={outcome} />
        </span>
        <span className="request-more">
          {sync} · {keys.length === 1 ? keys[0] : `${keys.length} rows`} · {duration(durationMs)} ·{' '}
          <Time at={startedAt} />
          {attempt.attempt > 1 ? ` · attempt ${attempt.attempt}` : ''}
        </span>
      </button>
    </li>
  )
}
