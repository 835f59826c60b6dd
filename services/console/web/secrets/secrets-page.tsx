/** All secrets: those of the vault, and those that resources name. No page ever shows a value. */
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { removeSecret } from '../api/commands.ts'
import { secretsQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { Confirm } from '../ui/dialog.tsx'
import { RoleButton } from '../ui/for-role.tsx'
import { ListTable } from '../ui/list-table.tsx'
import { many } from '../ui/format.ts'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { Badge } from '../ui/status.tsx'
import { EditSecret } from './edit-secret.tsx'
import { shownSecrets, type ShownSecret } from './shown-secrets.ts'

export function SecretsPage(): ReactElement {
  const { data, error, isPending } = useQuery(secretsQuery)
  const may = useMay('secrets')
  // A message about a missing secret leads here with its name, and one about a host with the host, too.
  const { set: wanted, for: wantedHosts } = useSearch({ from: '/secrets' })
  const navigate = useNavigate()
  const [edited, setEdits] = useState<{ name: string; grants?: string | undefined } | null>(null)
  const edits = edited ?? (wanted === undefined || !may ? null : { name: wanted, grants: wantedHosts })
  const closeEdits = (): void => {
    setEdits(null)
    void navigate({ to: '/secrets', search: {}, replace: true })
  }
  const [removes, setRemoves] = useState<ShownSecret | null>(null)
  const shown = data === undefined ? [] : shownSecrets(data)
  return (
    <Page
      title="Secrets"
      lead="Encrypted, and never shown again. A resource names one as ${secret:name}."
      actions={
        <RoleButton role="secrets" className="primary" onClick={() => setEdits({ name: '' })}>
          Set a secret
        </RoleButton>
      }
    >
      <Section title="All secrets">
        {isPending ? (
          <Loading />
        ) : data === undefined ? (
          <Trouble error={error} />
        ) : shown.length === 0 ? (
          <Empty title="The vault is empty.">
            <p>No resource names a secret. Keep API keys and passwords here instead of in files.</p>
          </Empty>
        ) : (
          <SecretTable secrets={shown} onEdit={name => setEdits({ name })} onRemove={setRemoves} />
        )}
      </Section>
      {edits === null ? null : <EditSecret {...edits} onClose={closeEdits} />}
      {removes === null ? null : (
        <Confirm
          title={`Remove the ${removes.kind} ${removes.name}?`}
          action="Remove it"
          dangerous
          onConfirm={() => removeSecret({ kind: removes.kind, name: removes.name })}
          onClose={() => setRemoves(null)}
        >
          <p>
            {removes.usedBy.length === 0
              ? 'No resource names it.'
              : `${many(removes.usedBy.length, 'resource names', 'resources name')} it. Syncs that use it stop at their next run, until it is set again.`}
          </p>
        </Confirm>
      )}
    </Page>
  )
}

interface TableProps {
  readonly secrets: readonly ShownSecret[]
  readonly onEdit: (name: string) => void
  readonly onRemove: (secret: ShownSecret) => void
}

function SecretTable({ secrets, onEdit, onRemove }: TableProps): ReactElement {
  return (
    <ListTable
      label="All secrets"
      items={secrets}
      columns={['Name', 'Comes from', 'Used by', 'May go to', 'Since', ['Actions', 'hidden']]}
    >
      {secret => (
        <tr key={`${secret.kind} ${secret.name}`}>
          <td>
            <code>{secret.name}</code>
            {secret.kind === 'login' ? <small> login of a destination</small> : null}
          </td>
          <td>
            <Origin secret={secret} />
          </td>
          <td>
            <Users of={secret.usedBy} />
          </td>
          <td>
            {secret.kept === null ? null : (secret.kept.for ?? <span className="quiet">not said</span>)}
          </td>
          <td>{secret.kept === null ? null : <Time at={secret.kept.since} />}</td>
          <td className="row-actions">
            <SecretActions secret={secret} onEdit={onEdit} onRemove={onRemove} />
          </td>
        </tr>
      )}
    </ListTable>
  )
}

function SecretActions({
  secret,
  onEdit,
  onRemove,
}: Pick<TableProps, 'onEdit' | 'onRemove'> & { readonly secret: ShownSecret }): ReactElement {
  const { kept } = secret
  const isOfEnvironment = secret.from === 'environment'
  return (
    <>
      {secret.kind === 'secret' && !isOfEnvironment ? (
        <RoleButton
          role="secrets"
          className="small"
          aria-label={`${kept === null ? 'Set' : 'Set again'} ${secret.name}`}
          onClick={() => onEdit(secret.name)}
        >
          {kept === null ? 'Set' : 'Set again'}
        </RoleButton>
      ) : null}{' '}
      {kept === null ? null : (
        <RoleButton
          role="secrets"
          className="small danger"
          aria-label={`Remove ${secret.name}`}
          onClick={() => onRemove(secret)}
        >
          Remove
        </RoleButton>
      )}
    </>
  )
}

function Origin({ secret: { from, variable, kept } }: { readonly secret: ShownSecret }): ReactElement {
  if (from === 'environment')
    return (
      <>
        the server: <code>{variable}</code>
        {kept === null ? '' : ', which goes before the vault'}
      </>
    )
  if (from === 'missing') return <Badge tone="bad" sign="✕" text="not set" />
  return <>{from === 'vault' ? 'the vault' : 'not the vault; perhaps the environment of the services'}</>
}

function Users({ of }: { readonly of: ShownSecret['usedBy'] }): ReactElement {
  if (of.length === 0) return <span className="quiet">no resource</span>
  return (
    <>
      {of.map(({ kind, name }, index) => (
        <span key={`${kind} ${name}`}>
          {index === 0 ? '' : ', '}
          {kind === 'alert' ? (
            <Link to="/alerts">{name}</Link>
          ) : (
            <Link to="/resources/$kind/$name" params={{ kind, name }}>
              {name}
            </Link>
          )}
        </span>
      ))}
    </>
  )
}
