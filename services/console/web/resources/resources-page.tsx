/** All sources, models, destinations, syncs and alerts, each with the project that it comes from. */
import type { ResourceView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useDeferredValue, useMemo, useState, type ReactElement } from 'react'
import { destinationsQuery, resourcesQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { ButtonLink } from '../ui/button.tsx'
import { ChosenFilter } from '../ui/chosen-filter.tsx'
import { DataTable, type DataColumn } from '../ui/data-table.tsx'
import { FindFilter } from '../ui/find-filter.tsx'
import { Named, titleIn } from '../ui/named.tsx'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { HealthBadge } from './destination-health.tsx'

const KINDS = ['sync', 'model', 'source', 'destination', 'alert'] as const

/** Each kind can be made on its own, before any sync. */
function NewResources(): ReactElement {
  return (
    <>
      {(['source', 'model', 'destination'] as const).map(kind => (
        <ButtonLink key={kind} to="/new/$kind" params={{ kind }}>
          New {kind}
        </ButtonLink>
      ))}
    </>
  )
}

export function ResourcesPage(): ReactElement {
  const may = useMay('edit')
  const { data, error, isPending } = useQuery(resourcesQuery)
  return (
    <Page
      title="Resources"
      lead="Syncs, and what they stand on. The same as the YAML files of a project: each can come from Git or from here."
      {...(may ? { actions: <NewResources /> } : {})}
    >
      {isPending ? (
        <Loading lines={8} />
      ) : data === undefined ? (
        <Trouble error={error} />
      ) : data.resources.length === 0 ? (
        <Section title="None yet">
          <Empty title="Nothing is configured yet.">
            <p>
              <Link to="/new">Set up a sync</Link>, or put a project here with <code>sluice apply</code>.
            </p>
          </Empty>
        </Section>
      ) : (
        <Resources resources={data.resources} />
      )}
    </Page>
  )
}

function Resources({ resources }: { readonly resources: readonly ResourceView[] }): ReactElement {
  const { kind, sort } = useSearch({ from: '/resources' })
  const navigate = useNavigate()
  const [letters, setLetters] = useState('')
  // Typing has priority over showing matches.
  const searched = useDeferredValue(letters).toLowerCase()
  const set = (changed: { readonly [filter: string]: string | undefined }): void =>
    void navigate({ to: '/resources', search: filter => ({ ...filter, ...changed }), replace: true })
  const shown = useMemo(
    () =>
      resources
        .filter(
          each =>
            (kind === undefined || each.kind === kind) &&
            `${each.name} ${titleIn(each.spec) ?? ''}`.toLowerCase().includes(searched),
        )
        .sort((one, other) => KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind)),
    [kind, resources, searched],
  )
  return (
    <section aria-label="All resources">
      <div className="filters pad">
        <FindFilter
          label="Filter the resources by name"
          placeholder="Name"
          value={letters}
          onChange={setLetters}
        />
        <ChosenFilter label="Kind" value={kind} choices={KINDS} onChange={value => set({ kind: value })} />
      </div>
      {shown.length === 0 ? (
        <Empty title="No resource fits these filters." />
      ) : (
        <DataTable
          label="List of resources"
          items={shown}
          columns={COLUMNS}
          idOf={each => `${each.kind} ${each.name}`}
          sort={sort}
          onSort={value => set({ sort: value })}
        />
      )}
    </section>
  )
}

const fromOf = ({ project = '' }: ResourceView): string =>
  project === '' ? 'this server' : `project ${project}`

const COLUMNS: readonly DataColumn<ResourceView>[] = [
  {
    ...{ name: 'Name', value: ({ name }) => name },
    cell: ({ kind, name, spec }) => (
      <Link to="/resources/$kind/$name" params={{ kind, name }}>
        <Named name={name} title={titleIn(spec)} />
      </Link>
    ),
  },
  { name: 'Kind', value: ({ kind }) => kind, cell: ({ kind }) => kind },
  { name: 'Health', cell: ({ kind, name }) => (kind === 'destination' ? <HealthOf name={name} /> : null) },
  { name: 'From', value: fromOf, cell: fromOf },
  {
    ...{ name: 'Changed', value: ({ changedAt }) => changedAt ?? null },
    cell: ({ changedAt, changedBy, version }) => (
      <>
        {(changedAt ?? null) === null ? null : <Time at={changedAt ?? ''} />}
        {(changedBy ?? null) === null ? '' : ` by ${changedBy ?? ''}`}
        {version === undefined ? '' : <small> · version {version}</small>}
      </>
    ),
  },
]

function HealthOf({ name }: { readonly name: string }): ReactElement | null {
  const { data } = useQuery(destinationsQuery)
  const health = data?.destinations.find(destination => destination.name === name)?.health
  return health === undefined ? null : <HealthBadge health={health} />
}
