/** The page with all changes and commands of people. */
import type { AuditPage as Audited } from '@sluice/contracts/api/operating'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { call } from '../api/client.ts'
import { firstPage } from '../api/queries.ts'
import { ListTable, More } from '../ui/list-table.tsx'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'

type Entry = Audited['entries'][number]

const PER_PAGE = 50

const DONE: { readonly [action in Entry['action']]: string } = {
  create: 'made',
  update: 'changed',
  delete: 'removed',
  run: 'ran',
  retry: 'retried rows of',
  resync: 'resynced',
  replay: 'replayed requests of',
  discard: 'discarded rows of',
  reset: 'reset',
  approve: 'approved a run of',
  cancel: 'cancelled a run of',
  set: 'set',
  remove: 'removed',
}

/** The vault keeps tokens, too. People make and revoke them. */
const DONE_TO_TOKEN: { readonly [action in Entry['action']]?: string } = { set: 'made', remove: 'revoked' }

export function AuditPage(): ReactElement {
  const { by, name } = useSearch({ from: '/audit' })
  const query = useInfiniteQuery({
    queryKey: ['audit', by, name],
    queryFn: ({ signal, pageParam }) =>
      call('listAudit', { by, name, limit: PER_PAGE, after: pageParam }, { signal }),
    initialPageParam: firstPage(),
    getNextPageParam: ({ next }) => next,
  })
  const { data, error, isPending } = query
  const entries = data?.pages.flatMap(page => page.entries) ?? []
  return (
    <Page
      title="Audit"
      lead="Changes and commands of people. Sluice keeps the last versions of each resource, the last changes of each secret and token, and commands for seven days."
    >
      <Section title="What was done">
        <Filters key={`${by ?? ''} ${name ?? ''}`} by={by ?? ''} name={name ?? ''} />
        {isPending ? (
          <Loading lines={8} />
        ) : data === undefined ? (
          <Trouble error={error} />
        ) : entries.length === 0 ? (
          <Empty
            title={(by ?? name) === undefined ? 'Nothing was done yet.' : 'No action fits these filters.'}
          >
            <p>
              Each change of a resource, a secret or a token is listed here, and each run and discard that a
              person or a token asked for.
            </p>
          </Empty>
        ) : (
          <Entries entries={entries} />
        )}
        <More query={query}>Show earlier ones</More>
      </Section>
    </Page>
  )
}

interface FilterProps {
  readonly by: string
  readonly name: string
}

function Filters(props: FilterProps): ReactElement {
  const navigate = useNavigate()
  const [by, setBy] = useState(props.by)
  const [name, setName] = useState(props.name)
  return (
    <form
      className="filters pad"
      onSubmit={event => {
        event.preventDefault()
        const search = { ...(by === '' ? {} : { by }), ...(name === '' ? {} : { name }) }
        void navigate({ to: '/audit', search })
      }}
    >
      <label>
        <span>Who</span>
        <input type="search" value={by} onChange={({ target }) => setBy(target.value)} />
      </label>
      <label>
        <span>Sync, resource, secret or token</span>
        <input value={name} onChange={({ target }) => setName(target.value)} />
      </label>
      <button type="submit">Show</button>
    </form>
  )
}

function Entries({ entries }: { readonly entries: readonly Entry[] }): ReactElement {
  return (
    <ListTable label="What was done" className="audit" items={entries} columns={['When', 'Who', 'What']}>
      {entry => (
        <tr
          key={`${entry.at ?? ''} ${entry.kind} ${entry.name} ${entry.version ?? entry.run ?? ''} ${entry.action}`}
        >
          <td>{entry.at === null ? 'before there was history' : <Time at={entry.at} />}</td>
          <td>{entry.by ?? <span className="quiet">nobody knows</span>}</td>
          <td className="spanning">
            <What entry={entry} />
          </td>
        </tr>
      )}
    </ListTable>
  )
}

function What({
  entry: { action, kind, name, version, project, fields, run, token },
}: {
  readonly entry: Entry
}): ReactElement {
  return (
    <>
      {(kind === 'token' ? DONE_TO_TOKEN[action] : undefined) ?? DONE[action]} the {kind}{' '}
      {kind === 'secret' || kind === 'login' || kind === 'token' ? (
        name
      ) : (
        <Link to="/resources/$kind/$name" params={{ kind, name }}>
          {name}
        </Link>
      )}
      {run === null || action === 'reset' ? null : (
        <>
          {' · '}
          <Link to="/runs/$id" params={{ id: run }}>
            its run
          </Link>
        </>
      )}
      {token === undefined ? null : (
        <>
          {' · '}
          {token.roles.length === 0 ? 'no role' : token.roles.join(', ')}
          {' · '}
          {token.endsAt === null ? (
            'no end'
          ) : (
            <>
              until <Time at={token.endsAt} />
            </>
          )}
        </>
      )}
      <small>
        {version === null ? '' : ` version ${version}`}
        {fields.length === 0 ? '' : `: ${fields.join(', ')}`}
        {project === '' ? '' : ` · by the project ${project}`}
      </small>
    </>
  )
}
