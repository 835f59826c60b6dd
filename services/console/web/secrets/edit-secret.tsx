/** The dialog that sets a secret. Its value goes to the vault, and no page shows it again. */
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactElement } from 'react'
import { setSecret } from '../api/commands.ts'
import { resourcesQuery, secretsQuery } from '../api/queries.ts'
import { Confirm } from '../ui/dialog.tsx'
import { NAME_FIELD } from '../ui/parts.tsx'
import { toast } from '../ui/toast.tsx'
import { hostsFor } from './granted-hosts.ts'

interface EditSecretProps {
  /** The suggested name. Empty if the user chooses it. */
  readonly name: string
  /** The value to start with. */
  readonly start?: string
  /** The suggested hosts for a new secret. Default: those of the resources that name it. */
  readonly hosts?: string
  /** The hosts that the secret has to go to, also if it is kept for others. */
  readonly grants?: string | undefined
  readonly onClose: () => void
  readonly onSet?: (name: string) => void
}

/** Runs look a secret up in the environment first. */
const goesBefore = (variable: string): string =>
  `${variable} of the server goes before the vault. Change it there.`

export function EditSecret(props: EditSecretProps): ReactElement {
  const { onClose, onSet } = props
  const [name, setName] = useState(props.name)
  const [value, setValue] = useState(props.start ?? '')
  const [typed, setTyped] = useState<string | null>(props.grants ?? null)
  const { data } = useQuery(secretsQuery)
  const { data: all } = useQuery({ ...resourcesQuery, enabled: props.hosts === undefined })
  const hosts = props.hosts ?? hostsFor(name, all?.resources ?? [])
  const isNew = data?.secrets.every(secret => secret.name !== name) ?? false
  const grants = typed ?? (isNew ? hosts : '')
  const save = async (): Promise<void> => {
    const set = await setSecret({ name, value, for: grants.trim() === '' ? undefined : grants.trim() })
    if (set.variable === undefined) toast('done', `The secret ${name} is set.`)
    else toast('failed', `The vault has ${name}, but nothing uses it. ${goesBefore(set.variable)}`)
    onSet?.(name)
  }
  const variable = data?.named?.find(secret => secret.name === name)?.variable ?? null
  return (
    <Confirm title="Set a secret" action="Keep it in the vault" onConfirm={save} onClose={onClose}>
      <label className="field">
        <span>Name</span>
        <input value={name} {...NAME_FIELD} onChange={({ target }) => setName(target.value)} />
      </label>
      {variable === null ? null : (
        <p className="cut" role="note">
          {goesBefore(variable)}
        </p>
      )}
      <label className="field">
        <span>Value</span>
        <input
          type="password"
          autoComplete="new-password"
          required
          data-first={props.name === '' ? undefined : true}
          value={value}
          onChange={({ target }) => setValue(target.value)}
        />
      </label>
      <label className="field">
        <span>Hosts that it may go to</span>
        <input
          value={grants}
          placeholder="api.example.com"
          onChange={({ target }) => setTyped(target.value)}
        />
        <small>Separated by commas. If this is empty, an existing secret keeps its hosts.</small>
      </label>
    </Confirm>
  )
}
