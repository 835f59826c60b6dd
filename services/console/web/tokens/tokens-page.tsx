/** The server's tokens by name, with their roles: people make and revoke them here. */
import type { TokenMadeView, TokensView } from '@sluice/contracts/api/operating'
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactElement } from 'react'
import { call } from '../api/client.ts'
import { makeToken, revokeToken } from '../api/commands.ts'
import { sessionQuery, useMay, type Role } from '../api/session.ts'
import { Button } from '../ui/button.tsx'
import { Confirm, Dialog } from '../ui/dialog.tsx'
import { RoleButton } from '../ui/for-role.tsx'
import { ListTable } from '../ui/list-table.tsx'
import { CopyButton, Empty, Loading, NAME_FIELD, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'

const ROLES: { readonly [role in Role]: string } = {
  view: 'see runs and their counts',
  read: 'see rows, requests and answers',
  edit: 'write sources, models, destinations, syncs and alerts',
  run: 'start and end runs',
  approve: 'approve removals',
  operate: 'send all rows again, discard rows, and reset a sync',
  secrets: 'set and remove secrets, and see, make and revoke tokens',
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
  const [makes, setMakes] = useState(false)
  const [made, setMade] = useState<TokenMadeView | null>(null)
  const [revokes, setRevokes] = useState<string | null>(null)
  return (
    <Page
      title="Tokens"
      lead="The tokens that may use this server, and their roles. A token is shown once, when it is made."
      actions={
        <RoleButton
          role="secrets"
          className="primary"
          disabled={data !== undefined && data.makesNone !== null}
          onClick={() => setMakes(true)}
        >
          Make a token
        </RoleButton>
      }
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
          <NoTokens makesNone={data.makesNone} />
        ) : (
          <TokenTable {...data} onRevoke={setRevokes} />
        )}
      </Section>
      <RolesAndConfiguration />
      {makes && data !== undefined ? (
        <MakeToken mayGive={data.mayGive} onMade={setMade} onClose={() => setMakes(false)} />
      ) : null}
      {made === null ? null : <ShownOnce made={made} onClose={() => setMade(null)} />}
      {revokes === null ? null : (
        <Confirm
          title={`Revoke the token ${revokes}?`}
          action="Revoke it"
          dangerous
          onConfirm={() => revokeToken(revokes)}
          onClose={() => setRevokes(null)}
        >
          <p>The servers refuse it from now on, and its sessions are over. It cannot be brought back.</p>
        </Confirm>
      )}
    </Page>
  )
}

function NoTokens({ makesNone }: Pick<TokensView, 'makesNone'>): ReactElement {
  const { data: session } = useQuery(sessionQuery)
  if (session?.by === 'local')
    return (
      <Empty title="This server asks nobody for a token.">
        <p>So only this machine may use it. Give it tokens before others shall reach it.</p>
      </Empty>
    )
  return (
    <Empty title="There are no tokens.">
      <p>
        {makesNone === null ? (
          'People sign in with their accounts at the provider. Make a token for a program.'
        ) : (
          <ServerMessage text={makesNone} />
        )}
      </p>
    </Empty>
  )
}

type TableProps = TokensView & { readonly onRevoke: (name: string) => void }

function TokenTable({ tokens, since, makesNone, onRevoke }: TableProps): ReactElement {
  return (
    <>
      <ListTable
        label="Tokens"
        items={tokens}
        columns={['Name', 'May', 'From', 'Ends', 'Last used', ['Actions', 'hidden']]}
      >
        {token => (
          <tr key={`${token.from} ${token.name}`}>
            <td>
              <code>{token.name}</code>
            </td>
            <td>
              {token.roles.length === Object.keys(ROLES).length ? 'everything' : token.roles.join(', ')}
            </td>
            <td>
              <Origin {...token} />
            </td>
            <td>
              {token.endsAt === null ? <span className="quiet">never</span> : <Time at={token.endsAt} />}
            </td>
            <td>
              {token.lastUsedAt === null ? (
                <span className="quiet">not yet</span>
              ) : (
                <Time at={token.lastUsedAt} />
              )}
            </td>
            <td className="row-actions">
              {token.from === 'made' ? (
                <RoleButton
                  role="secrets"
                  className="small danger"
                  aria-label={`Revoke ${token.name}`}
                  onClick={() => onRevoke(token.name)}
                >
                  Revoke
                </RoleButton>
              ) : null}
            </td>
          </tr>
        )}
      </ListTable>
      <p className="pad quiet">
        The list shows uses since the start of this process, <Time at={since} />.{' '}
        {makesNone === null ? null : <ServerMessage text={makesNone} />}
      </p>
    </>
  )
}

function Origin({ from, madeAt, madeBy }: TokensView['tokens'][number]): ReactElement {
  if (madeAt === null) return <code>{from}</code>
  return (
    <>
      made by {madeBy ?? 'somebody'} <Time at={madeAt} />
    </>
  )
}

/** Days until the end of a token, and the words for them. */
const ENDS = [
  ['7', 'in 7 days'],
  ['30', 'in 30 days'],
  ['90', 'in 90 days'],
  ['365', 'in a year'],
  ['', 'never'],
] as const
const DAY_MS = 86_400_000

interface MakeTokenProps {
  readonly mayGive: TokensView['mayGive']
  readonly onMade: (made: TokenMadeView) => void
  readonly onClose: () => void
}

function MakeToken({ mayGive, onMade, onClose }: MakeTokenProps): ReactElement {
  const [name, setName] = useState('')
  const [roles, setRoles] = useState<readonly Role[]>(['view'])
  const [days, setDays] = useState<string>('90')
  const make = async (): Promise<void> => {
    const endsAt = days === '' ? undefined : new Date(Date.now() + Number(days) * DAY_MS).toISOString()
    onMade(await makeToken({ name, roles: [...roles], endsAt }))
  }
  return (
    <Confirm
      title="Make a token"
      action="Make it"
      isReady={roles.length > 0}
      onConfirm={make}
      onClose={onClose}
    >
      <label className="field">
        <span>Name</span>
        <input
          value={name}
          {...NAME_FIELD}
          autoComplete="off"
          onChange={({ target }) => setName(target.value)}
        />
        <small>The person or program that gets it. The audit names it with each change.</small>
      </label>
      <fieldset className="checks">
        <legend>May</legend>
        {rolesIn(ROLES).map(role => (
          <label key={role}>
            <input
              type="checkbox"
              disabled={!mayGive.includes(role)}
              checked={roles.includes(role)}
              onChange={() =>
                setRoles(roles.includes(role) ? roles.filter(each => each !== role) : [...roles, role])
              }
            />
            <span>
              <code>{role}</code> {ROLES[role]}
            </span>
          </label>
        ))}
        {mayGive.length === Object.keys(ROLES).length ? null : (
          <small>
            You give only roles that you have. To let others write, a server also needs somebody with the role{' '}
            <code>edit</code> in its configuration.
          </small>
        )}
      </fieldset>
      <label className="field">
        <span>Ends</span>
        <select value={days} onChange={({ target }) => setDays(target.value)}>
          {ENDS.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
    </Confirm>
  )
}

function rolesIn(roles: typeof ROLES): readonly Role[] {
  return Object.keys(roles).filter((name): name is Role => Object.hasOwn(roles, name))
}

interface ShownOnceProps {
  readonly made: TokenMadeView
  readonly onClose: () => void
}

function ShownOnce({ made: { name, token }, onClose }: ShownOnceProps): ReactElement {
  return (
    <Dialog title={`The token ${name}`} onClose={onClose}>
      <p>Copy it now: no page shows it again. If it is lost, revoke it and make another one.</p>
      <pre className="code flat wraps" tabIndex={0} aria-label="The token">
        {token}
      </pre>
      <footer className="dialog-actions">
        <CopyButton text={token} />
        <Button variant="filled" onClick={onClose}>
          Done
        </Button>
      </footer>
    </Dialog>
  )
}

/** The roles, and the tokens that the operator keeps in the configuration. */
function RolesAndConfiguration(): ReactElement {
  return (
    <Section title="Tokens of the configuration">
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
        <li>
          Start the server again. A token that has left the file is over then, with all its sessions. The page
          cannot revoke it.
        </li>
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
