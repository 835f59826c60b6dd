/** All sources, models, destinations, syncs and alerts, each with the project that it comes from. */
import type { ResourceView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { resourcesQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { Named, titleIn } from '../ui/named.tsx'
import { ListTable } from '../ui/list-table.tsx'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'

const KINDS: readonly (readonly [kind: ResourceView['kind'], title: string])[] = [
  ['sync', 'Syncs'],
  ['model', 'Models'],
  ['source', 'Sources'],
  ['destination', 'Destinations'],
  ['alert', 'Alerts'],
]

/** Each kind can be made on its own, before any sync. */
function NewResources(): ReactElement {
  return (
    <>
      {(['source', 'model', 'destination'] as const).map(kind => (
        <Link key={kind} to="/new/$kind" params={{ kind }} className="button">
          New {kind}
        </Link>
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
        KINDS.map(([kind, title]) => (
          <KindTable key={kind} title={title} resources={data.resources.filter(each => each.kind === kind)} />
        ))
      )}
    </Page>
  )
}

function KindTable(props: {
  readonly title: string
  readonly resources: readonly ResourceView[]
}): ReactElement | null {
  const { title, resources } = props
  if (resources.length === 0) return null
  return (
    <Section title={title}>
      <ListTable label={title} className="even" items={resources} columns={['Name', 'From', 'Changed']}>
        {({ kind, name, spec, project, version, changedAt, changedBy }) => (
          <tr key={name}>
            <td>
              <Link to="/resources/$kind/$name" params={{ kind, name }}>
                <Named name={name} title={titleIn(spec)} />
              </Link>
            </td>
            <td>{(project ?? '') === '' ? 'this server' : `project ${project ?? ''}`}</td>
            <td>
              {changedAt === undefined || changedAt === null ? (
                ''
              ) : (
                <>
                  <Time at={changedAt} />
                  {changedBy === undefined || changedBy === null ? '' : ` by ${changedBy}`}
                </>
              )}
              {version === undefined ? '' : <small> · version {version}</small>}
            </td>
          </tr>
        )}
      </ListTable>
    </Section>
  )
}
