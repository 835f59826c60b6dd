/** The fields of `tls` whose texts may be stored as secrets, alike for sources and destinations. */
import type { ReactElement } from 'react'
import { nameIn } from './draft.ts'
import { SecretField } from './fields.tsx'
import type { Editing } from './use-editing.ts'

const LABELS = {
  ca: 'Authority (PEM)',
  cert: 'Client certificate (PEM)',
  key: 'Its key (PEM)',
  pfx: 'Or both in a PKCS #12 file (Base64)',
  passphrase: 'Passphrase of the key or file',
} as const

interface TlsSecretProps {
  readonly editing: Editing
  readonly field: keyof typeof LABELS
  /** The hosts that get the secret. */
  readonly hosts: string
  readonly label?: string
  readonly hint?: string
}

export function TlsSecret({
  editing,
  field,
  hosts,
  label = LABELS[field],
  hint,
}: TlsSecretProps): ReactElement {
  const suggested = `${nameIn(editing.text)}-${field}`
  return <SecretField {...{ editing, label, hint, hosts, suggested }} path={['tls', field]} />
}
