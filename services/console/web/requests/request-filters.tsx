/** The filters of requests. They are part of the page's address, so that a search can be shared. */
import type { AttemptView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useState, type ReactElement } from 'react'
import { syncsQuery, type AttemptsFilter } from '../api/queries.ts'
import { ChosenFilter } from '../ui/chosen-filter.tsx'
import { localField, timeOfField } from '../ui/format.ts'

/** A search starts this long after the last keystroke. */
const TYPED_MS = 300
const MINUTE_MS = 60_000

interface FiltersProps {
  readonly filter: AttemptsFilter
  readonly onChange: (changed: AttemptsFilter) => void
}

const OUTCOMES: readonly AttemptView['outcome'][] = [
  ...(['delivered', 'rejected', 'unknown', 'throttled'] as const),
  ...(['exists', 'missing', 'unsent'] as const),
]
const TRIGGERS: readonly AttemptView['trigger'][] = ['added', 'changed', 'removed']

/** The choices of a time span before now, in minutes. */
const SPANS = [
  ['15', 'Last 15 minutes'],
  ['60', 'Last hour'],
  ['1440', 'Last 24 hours'],
  ['10080', 'Last 7 days'],
] as const

const NONE: AttemptsFilter = {
  ...{ run: undefined, sync: undefined, key: undefined, status: undefined, since: undefined },
  ...{ until: undefined, outcome: undefined, trigger: undefined, search: undefined },
}

export function isFiltered(filter: AttemptsFilter): boolean {
  return Object.values(filter).some(value => value !== undefined)
}

export function RequestFilters({ filter, onChange }: FiltersProps): ReactElement {
  const { data } = useQuery(syncsQuery)
  const [isBetween, setBetween] = useState(false)
  // A narrow screen shows the filters once somebody asks for them.
  const [isOpen, setOpen] = useState(false)
  const chosen = Object.values(filter).filter(value => value !== undefined).length
  return (
    <form
      className="filters request-filters"
      role="search"
      data-open={isOpen}
      onSubmit={event => event.preventDefault()}
    >
      <button type="button" className="narrow-only" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {chosen === 0 ? 'Filters' : `Filters (${chosen})`}
      </button>
      <TypedFilter label="Key" value={filter.key} onChange={key => onChange({ key })} isSearch />
      <ChosenFilter
        label="Sync"
        value={filter.sync}
        choices={data?.syncs.map(({ name, title = name }) => [name, title] as const) ?? []}
        onChange={sync => onChange({ sync })}
      />
      <TypedFilter label="Status" value={filter.status} onChange={status => onChange({ status })} />
      <ChosenFilter
        label="Outcome"
        value={filter.outcome}
        choices={OUTCOMES}
        onChange={outcome => onChange({ outcome })}
      />
      <ChosenFilter
        label="Trigger"
        value={filter.trigger}
        choices={TRIGGERS}
        onChange={trigger => onChange({ trigger })}
      />
      <TypedFilter
        label="Text of the error"
        value={filter.search}
        onChange={search => onChange({ search })}
      />
      <TypedFilter label="Run" value={filter.run} onChange={run => onChange({ run })} />
      <TimeFilter {...{ filter, onChange, isBetween, setBetween }} />
      <button
        type="button"
        disabled={!isFiltered(filter)}
        onClick={() => {
          setBetween(false)
          onChange(NONE)
        }}
      >
        Clear
      </button>
    </form>
  )
}

interface TimeProps extends FiltersProps {
  /** True once the user has chosen to enter two times. */
  readonly isBetween: boolean
  readonly setBetween: (isBetween: boolean) => void
}

/** The choice of a time span before now, or of two times in the user's time zone. */
function TimeFilter({ filter: { since, until }, onChange, ...own }: TimeProps): ReactElement {
  const isBetween = own.isBetween || since !== undefined || until !== undefined
  const choose = (chosen: string): void => {
    // The span is turned into two times, which the user may then change.
    own.setBetween(chosen !== '')
    if (chosen === 'between') return
    const from = chosen === '' ? undefined : new Date(Date.now() - Number(chosen) * MINUTE_MS).toISOString()
    onChange({ since: from, until: undefined })
  }
  return (
    <>
      <label>
        <span>Sent</span>
        <select value={isBetween ? 'between' : ''} onChange={({ target }) => choose(target.value)}>
          <option value="">At any time</option>
          {SPANS.map(([minutes, name]) => (
            <option key={minutes} value={minutes}>
              {name}
            </option>
          ))}
          <option value="between">Between…</option>
        </select>
      </label>
      {isBetween ? (
        <>
          <TimeField label="From" value={since} onChange={time => onChange({ since: time })} />
          <TimeField label="Until" value={until} onChange={time => onChange({ until: time })} />
        </>
      ) : null}
    </>
  )
}

interface FieldProps {
  readonly label: string
  readonly value: string | undefined
  readonly onChange: (value: string | undefined) => void
}

function TimeField({ label, value, onChange }: FieldProps): ReactElement {
  return (
    <label className="two-wide">
      <span>{label}</span>
      <input
        type="datetime-local"
        step="1"
        value={value === undefined ? '' : localField(value)}
        title={value === undefined ? undefined : `${value.replace('T', ' ').slice(0, 19)} UTC`}
        onChange={({ target }) => onChange(timeOfField(target.value))}
      />
    </label>
  )
}

/** A text field that searches once the typing has paused. */
function TypedFilter({
  label,
  value = '',
  onChange,
  isSearch = false,
}: FieldProps & { readonly isSearch?: boolean }): ReactElement {
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
