/** The debugger: finds requests, and shows each with its answer, side by side. */
import type { AttemptView } from '@sluice/contracts/api'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useState, type ReactElement } from 'react'
import { attemptsQuery, syncsQuery, type AttemptsFilter } from '../api/queries.ts'
import { duration, pathOf } from '../ui/format.ts'
import { More } from '../ui/list-table.tsx'
import { LongList } from '../ui/long-list.tsx'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { HttpStatus, Outcome } from '../ui/status.tsx'
import { lineId, OpenRequest } from './request-detail.tsx'

const TYPED_MS = 300

export function RequestsPage(): ReactElement {
  const { open, ...filter } = useSearch({ from: '/requests' })
  const navigate = useNavigate()
  const setFilter = (changed: AttemptsFilter): void =>
    void navigate({ to: '/requests', search: { ...filter, ...changed }, replace: true })
  return (
    <Page title="Requests" lead="Each request as it was sent, and what came back. Secrets are masked.">
      <Filters filter={filter} onChange={setFilter} />
      <div className={open === undefined ? 'debugger' : 'debugger is-open'}>
        <Found filter={filter} open={open} />
      </div>
    </Page>
  )
}

interface FiltersProps {
  readonly filter: AttemptsFilter
  readonly onChange: (changed: AttemptsFilter) => void
}

const OUTCOMES: readonly AttemptView['outcome'][] = [
  ...(['delivered', 'rejected', 'unknown', 'throttled'] as const),
  ...(['exists', 'missing', 'unsent'] as const),
]

function Filters({ filter, onChange }: FiltersProps): ReactElement {
  const { data } = useQuery(syncsQuery)
  return (
    <form className="filters" role="search" onSubmit={event => event.preventDefault()}>
      <TypedFilter label="Key" value={filter.key} onChange={key => onChange({ key })} isSearch />
      <label>
        <span>Sync</span>
        <select
          value={filter.sync ?? ''}
          onChange={({ target }) => onChange({ sync: target.value || undefined })}
        >
          <option value="">All</option>
          {data?.syncs.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <TypedFilter label="Status" value={filter.status} onChange={status => onChange({ status })} />
      <label>
        <span>Outcome</span>
        <select
          value={filter.outcome ?? ''}
          onChange={({ target }) => onChange({ outcome: target.value || undefined })}
        >
          <option value="">All</option>
          {OUTCOMES.map(outcome => (
            <option key={outcome}>{outcome}</option>
          ))}
        </select>
      </label>
      <TypedFilter
        label="Text of the error"
        value={filter.search}
        onChange={search => onChange({ search })}
      />
      <TypedFilter label="Run" value={filter.run} onChange={run => onChange({ run })} />
      <button
        type="button"
        onClick={() =>
          onChange({
            ...{ run: undefined, sync: undefined, key: undefined, status: undefined, since: undefined },
            ...{ until: undefined, outcome: undefined, trigger: undefined, search: undefined },
          })
        }
      >
        Clear
      </button>
    </form>
  )
}

interface TypedProps {
  readonly label: string
  readonly value: string | undefined
  readonly onChange: (value: string | undefined) => void
  readonly isSearch?: boolean
}

/** Searches once the typing has paused. */
function TypedFilter({ label, value = '', onChange, isSearch = false }: TypedProps): ReactElement {
  const [typed, setTyped] = useState(value)
  useEffect(() => setTyped(value), [value])
  useEffect(() => {
    if (typed === value) return undefined
    const timer = setTimeout(() => onChange(typed === '' ? undefined : typed), TYPED_MS)
    return () => clearTimeout(timer)
  }, [onChange, typed, value])
  return (
    <label>
      <span>{label}</span>
      <input
        type={isSearch ? 'search' : 'text'}
        value={typed}
        onChange={({ target }) => setTyped(target.value)}
      />
    </label>
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
      <Section title="No request">
        <Empty title="No request fits these filters.">
          <p>A request appears here once it was tried. Rows that wait for their first try have none.</p>
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
          {attempt.attempt > 1 ? ` · try ${attempt.attempt}` : ''}
        </span>
      </button>
    </li>
  )
}
