/** The secrets of the vault, and the hosts that they may go to. No page ever shows a value. */
import type { SecretsView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { removeSecret } from '../api/commands.ts'
import { secretsQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { Confirm } from '../ui/dialog.tsx'
import { RoleButton } from '../ui/for-role.tsx'
import { ListTable } from '../ui/list-table.tsx'
import { Empty, Loading, Page, Section, Time, Trouble } from '../ui/parts.tsx'
import { EditSecret } from './edit-secret.tsx'

type SecretView = SecretsView['secrets'][number]

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
  const [removes, setRemoves] = useState<SecretView | null>(null)
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
      <Section title="In the vault">
        {isPending ? (
          <Loading />
        ) : data === undefined ? (
          <Trouble error={error} />
        ) : data.secrets.length === 0 ? (
          <Empty title="The vault is empty.">
            <p>
              Keep API keys and passwords here instead of in files. Secrets of the environment are not listed.
            </p>
          </Empty>
        ) : (
          <SecretTable
            secrets={data.secrets}

            onEdit={name => setEdits({ name })}
            onRemove={setRemoves}
          />
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
          <p>Syncs that use it stop at their next run, until it is set again.</p>
        </Confirm>
      )}
    </Page>
  )
}

interface TableProps {
  readonly secrets: readonly SecretView[]
  readonly onEdit: (name: string) => void
  readonly onRemove: (secret: SecretView) => void
}

function SecretTable({ secrets, onEdit, onRemove }: TableProps): ReactElement {
  return (
    <ListTable
      label="In the vault"
      items={secrets}
      columns={['Name', 'May go to', 'Since', ['Actions', 'hidden']]}
    >
      {secret => (
        <tr key={`${secret.kind} ${secret.name}`}>
          <td>
            <code>{secret.name}</code>
            {secret.kind === 'login' ? <small> login of a destination</small> : null}
          </td>
          <td>{secret.for ?? <span className="quiet">not said</span>}</td>
          <td>
            <Time at={secret.since} />
          </td>
          <td className="row-actions">
            {secret.kind === 'secret' ? (
              <RoleButton role="secrets" className="small" onClick={() => onEdit(secret.name)}>
                Set again
              </RoleButton>
            ) : null}{' '}
            <RoleButton
              role="secrets"
              className="small"
              aria-label={`Remove ${secret.name}`}
              onClick={() => onRemove(secret)}
            >
              Remove
            </RoleButton>
          </td>
        </tr>
      )}
    </ListTable>
  )
}
