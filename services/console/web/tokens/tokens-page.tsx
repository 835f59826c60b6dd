/** The server's tokens by name, with their roles. No page ever shows a token. */
import type { TokensView } from '@sluice/contracts/api/operating'
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { call } from '../api/client.ts'
import { useMay, type Role } from '../api/session.ts'
import { ListTable } from '../ui/list-table.tsx'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'

const ROLES: { readonly [role in Role]: string } = {
  view: 'see runs and their counts',
  read: 'see rows, requests and answers',
  edit: 'write sources, models, destinations, syncs and alerts',
  run: 'start and end runs',
  approve: 'approve removals',
  operate: 'send all rows again, discard rows, and reset a sync',
  secrets: 'set and remove secrets, and see who has a token',
}

const EXAMPLE = `# name roles token
ann view,read,run,approve 4f0c9a51d2e84b7c9e0d
ci view,run b81e52aa07f6430f8a6c
`

export function TokensPage(): ReactElement {
  const may = useMay('secrets')
  const { data, error, isPending } = useQuery({
    queryKey: ['tokens'],
    queryFn: ({ signal }) => call('listTokens', {}, { signal }),
    enabled: may,
  })
  return (
    <Page
      title="Tokens"
      lead="The tokens that may use this server, and their roles. Their values are in its configuration and are never shown."
    >
      <Section title="Of this server">
        {!may ? (
          <Empty title="You may not see who has a token.">
            <p>
              That wants the role <code>secrets</code>. Ask the operator of this server.
            </p>
          </Empty>
        ) : isPending ? (
          <Loading />
        ) : data === undefined ? (
          <Trouble error={error} />
        ) : data.tokens.length === 0 ? (
          <Empty title="This server asks nobody for a token.">
            <p>So only this machine may use it. Give it tokens before others shall reach it.</p>
          </Empty>
        ) : (
          <TokenTable {...data} />
        )}
      </Section>
      <Making />
    </Page>
  )
}

function TokenTable({ tokens, since }: TokensView): ReactElement {
  return (
    <>
      <ListTable label="Tokens" items={tokens} columns={['Name', 'May', 'Stands in', 'Last used']}>
        {({ name, roles, from, lastUsedAt }) => (
          <tr key={name}>
            <td>
              <code>{name}</code>
            </td>
            <td>{roles.length === Object.keys(ROLES).length ? 'everything' : roles.join(', ')}</td>
            <td>
              <code>{from}</code>
            </td>
            <td>{lastUsedAt === null ? <span className="quiet">not yet</span> : <Time at={lastUsedAt} />}</td>
          </tr>
        )}
      </ListTable>
      <p className="pad quiet">
        The list shows uses since the start of this process, <Time at={since} />.
      </p>
    </>
  )
}

/** Help on new tokens. Pages cannot create them: the operator does, in the configuration. */
function Making(): ReactElement {
  return (
    <Section title="Make one, or take one away">
      <ol className="plain-list">
        <li>
          <code>openssl rand -hex 16</code> makes a token.
        </li>
        <li>
          Give the server the variable <code>SLUICE_TOKENS</code>, or a file that{' '}
          <code>SLUICE_TOKENS_FILE</code> names, with a line for each person or program: a name, its roles,
          its token.
          <pre className="code flat wraps" tabIndex={0}>
            {EXAMPLE}
          </pre>
        </li>
        <li>Start the server again. A token that has left the file is over then, with all its sessions.</li>
      </ol>
      <dl className="facts by-line">
        {Object.entries(ROLES).map(([role, what]) => (
          <div key={role}>
            <dt>
              <code>{role}</code>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
        <div>
          <dt>
            <code>all</code>
          </dt>
          <dd>everything</dd>
        </div>
      </dl>
    </Section>
  )
}
