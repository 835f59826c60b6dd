/**
 * The dialog that takes certificates from files: a client certificate with its key, or certificates of
 * authorities. The server checks them before anything is stored. They go to the vault, as secrets that only
 * the destination's hosts get, and no page shows them again.
 */
import { useState, type ReactElement } from 'react'
import { call } from '../api/client.ts'
import { setSecret } from '../api/commands.ts'
import { Confirm } from '../ui/dialog.tsx'
import { toast } from '../ui/toast.tsx'

/** The longest secret that the vault takes. A PKCS #12 file is stored as Base64. */
const MAX_CHARACTERS = 10_000_000
const CERTIFICATE = '-----BEGIN CERTIFICATE-----'
const KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/

/** Called with the fields of `tls` that refer to the secrets. */
export type TlsReferences = { readonly [field in 'ca' | 'cert' | 'key' | 'pfx' | 'passphrase']?: string }

interface UploadProps {
  readonly owner: 'client' | 'authority'
  /** The destination's name, with which the names of the secrets begin. */
  readonly name: string
  /** The first suggestion for the hosts that the secrets may go to. */
  readonly hosts: string
  readonly onDone: (tls: TlsReferences) => void
  readonly onClose: () => void
}

export function UploadCertificate({ owner, name, hosts, onDone, onClose }: UploadProps): ReactElement {
  const [kind, setKind] = useState<'pem' | 'pfx' | 'ca'>(owner === 'client' ? 'pem' : 'ca')
  const [files, setFiles] = useState<{ readonly [field: string]: File | null }>({})
  const [passphrase, setPassphrase] = useState('')
  const [grants, setGrants] = useState(hosts)
  const store = async (): Promise<void> => {
    const values = await valuesOf(kind, files)
    const all = Object.entries({ ...values, ...(passphrase === '' ? {} : { passphrase }) })
    // The call throws if the files cannot be used, before anything is stored.
    await call('checkCertificate', Object.fromEntries(all))
    for (const [field, value] of all) await setSecret({ name: `${name}-${field}`, value, for: grants })
    onDone(Object.fromEntries(all.map(([field]) => [field, `\${secret:${name}-${field}}`])))
    toast('done', 'The certificate is in the vault. Save the destination to use it.')
  }
  const chosen = (field: string, label: string, accept: string): ReactElement => (
    <label className="field">
      <span>{label}</span>
      <input
        type="file"
        required
        accept={accept}
        onChange={({ target }) => setFiles({ ...files, [field]: target.files?.[0] ?? null })}
      />
    </label>
  )
  return (
    <Confirm
      title={owner === 'client' ? 'Upload a client certificate' : 'Upload certificates of authorities'}
      action="Keep it in the vault"
      onConfirm={store}
      onClose={onClose}
    >
      {kind === 'ca' ? (
        chosen('ca', 'Certificates of authorities', '.pem,.crt,.cer')
      ) : (
        <>
          <label className="field">
            <span>Form</span>
            <select value={kind} onChange={({ target }) => setKind(target.value === 'pfx' ? 'pfx' : 'pem')}>
              <option value="pem">certificate and key in PEM</option>
              <option value="pfx">both in one PKCS #12 file</option>
            </select>
          </label>
          {kind === 'pem' ? (
            <>
              {chosen('cert', 'Certificate', '.pem,.crt,.cer')}
              {chosen('key', 'Its key', '.pem,.key')}
            </>
          ) : (
            chosen('pfx', 'PKCS #12 file', '.p12,.pfx')
          )}
          <label className="field">
            <span>Passphrase, if there is one</span>
            <input
              type="password"
              autoComplete="new-password"
              value={passphrase}
              onChange={({ target }) => setPassphrase(target.value)}
            />
          </label>
        </>
      )}
      <label className="field">
        <span>Hosts that it may go to</span>
        <input required value={grants} onChange={({ target }) => setGrants(target.value)} />
      </label>
      <p className="quiet">At most 10 MB. It is encrypted, and never shown again.</p>
    </Confirm>
  )
}

async function valuesOf(
  kind: 'pem' | 'pfx' | 'ca',
  { ca, cert, key, pfx }: { readonly [field: string]: File | null },
): Promise<{ readonly [field: string]: string }> {
  if (kind === 'ca') return { ca: await pem(ca, CERTIFICATE) }
  if (kind === 'pfx') return { pfx: await base64(pfx) }
  return { cert: await pem(cert, CERTIFICATE), key: await pem(key, KEY) }
}

async function pem(file: File | null | undefined, wanted: string | RegExp): Promise<string> {
  if (file === null || file === undefined) throw new Error('Choose the files first.')
  assertFits(file, file.size)
  const text = await file.text()
  const isIt = typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text)
  if (isIt) return text
  const what = typeof wanted === 'string' ? 'certificate' : 'private key'
  throw new Error(`${file.name} is no ${what} in PEM, which has a line that begins with -----BEGIN.`)
}

async function base64(file: File | null | undefined): Promise<string> {
  if (file === null || file === undefined) throw new Error('Choose the file first.')
  assertFits(file, Math.ceil(file.size / 3) * 4)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const reader = new FileReader()
  reader.onload = () => resolve(typeof reader.result === 'string' ? reader.result.replace(/^[^,]*,/, '') : '')
  reader.onerror = () => reject(new Error(`${file.name} cannot be read.`))
  reader.readAsDataURL(file)
  return await promise
}

function assertFits(file: File, characters: number): void {
  if (file.size === 0) throw new Error(`${file.name} is empty.`)
  if (characters > MAX_CHARACTERS) throw new Error(`${file.name} is too large: at most 10 MB, as it is kept.`)
}
