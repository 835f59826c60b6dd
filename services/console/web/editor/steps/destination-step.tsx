/** The step for the destination: the API, its credentials and its limits. */
import { useState, type ReactElement } from 'react'
import { limitsInWords } from '../../syncs/limits-in-words.ts'
import { nameIn, textAt, valueAt, withValue } from '../draft.ts'
import { NAME_HINT, ChoiceField, PairsField, SecretField, SwitchField, TextField } from '../fields.tsx'
import { UploadCertificate, type TlsReferences } from '../upload-certificate.tsx'
import type { Editing } from '../use-editing.ts'

export function DestinationStep({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change } = editing
  const name = nameIn(text)
  const limits = { ...editing, change: (changed: string) => change(withWholeRate(changed)) }
  return (
    <>
      <TextField editing={editing} path={['name']} label="Name" hint={NAME_HINT} />
      <TextField
        editing={editing}
        path={['baseUrl']}
        label="Address of the API"
        placeholder="https://api.example.com/v1"
        hint="Each trigger adds a path to it."
      />
      <PairsField
        editing={editing}
        path={['headers']}
        label="Headers"
        suggested={name}
        hosts={grantFor(textAt(text, ['baseUrl']))}
      />
      <AuthFields editing={editing} />
      <fieldset className="columns">
        <legend>Limits, over all syncs of this destination</legend>
        <TextField
          editing={limits}
          path={['limits', 'rate', 'requests']}
          label="Rate limit"
          isNumber
          placeholder="1000"
        />
        <ChoiceField
          editing={limits}
          path={['limits', 'rate', 'per']}
          label="Requests per"
          isWritten
          choices={[
            ['second', 'second'],
            ['minute', 'minute'],
            ['hour', 'hour'],
          ]}
        />
        <TextField
          editing={limits}
          path={['limits', 'concurrency']}
          label="Concurrent requests"
          isNumber
          placeholder="100"
        />
        <p className="quiet spanning">Rate limit: {limitsInWords(valueAt(text, ['limits']))}.</p>
      </fieldset>
      <details>
        <summary>Certificates</summary>
        <TlsFields editing={editing} />
      </details>
    </>
  )
}

/** A rate needs both a number of requests and a time. */
function withWholeRate(text: string): string {
  const rate = ['limits', 'rate']
  if (textAt(text, [...rate, 'requests']) === '')
    return Array.isArray(valueAt(text, rate)) ? text : withValue(text, rate, undefined)
  return textAt(text, [...rate, 'per']) === '' ? withValue(text, [...rate, 'per'], 'second') : text
}

const GRANTS = ['client-credentials', 'authorization-code', 'password', 'refresh-token'] as const

function AuthFields({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, readOnly } = editing
  const auth = valueAt(text, ['auth'])
  const kind = typeof auth === 'object' && auth !== null ? (Object.keys(auth)[0] ?? 'none') : 'none'
  const name = nameIn(text)
  const start: { readonly [kind: string]: unknown } = {
    none: undefined,
    basic: { basic: { username: '', password: `\${secret:${name}-password}` } },
    bearer: { bearer: `\${secret:${name}-token}` },
    oauth2: {
      oauth2: {
        grant: 'client-credentials',
        tokenUrl: '',
        clientId: '',
        clientSecret: `\${secret:${name}-client}`,
      },
    },
  }
  const at = (...path: readonly string[]): readonly string[] => ['auth', kind, ...path]
  const hosts = grantFor(textAt(text, ['baseUrl']))
  return (
    <fieldset>
      <legend>Authentication</legend>
      <label className="field">
        <span>Kind</span>
        <select
          value={kind}
          disabled={readOnly}
          onChange={({ target }) =>
            change(withValue(withValue(text, ['auth'], undefined), ['auth'], start[target.value]))
          }
        >
          <option value="none">Not at all, or by a header</option>
          <option value="basic">User and password</option>
          <option value="bearer">A bearer token</option>
          <option value="oauth2">OAuth 2</option>
        </select>
      </label>
      {kind === 'basic' ? (
        <>
          <TextField editing={editing} path={at('username')} label="User" />
          <SecretField
            editing={editing}
            path={at('password')}
            label="Password"
            suggested={`${name}-password`}
            hosts={hosts}
          />
        </>
      ) : null}
      {kind === 'bearer' ? (
        <SecretField
          editing={editing}
          path={['auth', 'bearer']}
          label="Token"
          suggested={`${name}-token`}
          hosts={hosts}
        />
      ) : null}
      {kind === 'oauth2' ? (
        <>
          <ChoiceField
            editing={editing}
            path={at('grant')}
            label="Grant"
            isWritten
            choices={GRANTS.map(grant => [grant, grant])}
          />
          <TextField editing={editing} path={at('tokenUrl')} label="Token URL" />
          {textAt(text, at('grant')) === 'authorization-code' ? (
            <>
              <TextField editing={editing} path={at('authorizationUrl')} label="Authorization URL" />
              <p className="quiet">
                Once it is saved, log in on the page of the destination: it opens the API’s own page.
              </p>
            </>
          ) : null}
          <TextField editing={editing} path={at('clientId')} label="Client id" />
          <SecretField
            editing={editing}
            path={at('clientSecret')}
            label="Client secret"
            suggested={`${name}-client`}
            hosts={grantFor(textAt(text, at('tokenUrl')))}
          />
          <TextField editing={editing} path={at('scopes')} label="Scopes" isList hint="Separated by commas" />
        </>
      ) : null}
    </fieldset>
  )
}

function TlsFields({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, readOnly } = editing
  const name = nameIn(text)
  const [uploads, setUploads] = useState<'client' | 'authority' | null>(null)
  // A PKCS #12 file replaces certificate and key, and the other way round.
  const use = (tls: TlsReferences): void => {
    const present = valueAt(text, ['tls'])
    const fields = Object.entries(typeof present === 'object' && present !== null ? present : {})
    const kept = fields.filter(([field]) => 'ca' in tls || field === 'ca' || field === 'insecure')
    change(withValue(text, ['tls'], { ...Object.fromEntries(kept), ...tls }))
  }
  return (
    <>
      <p className="actions">
        <button type="button" disabled={readOnly} onClick={() => setUploads('client')}>
          Upload a client certificate…
        </button>
        <button type="button" disabled={readOnly} onClick={() => setUploads('authority')}>
          Upload an authority…
        </button>
      </p>
      {uploads === null ? null : (
        <UploadCertificate
          owner={uploads}
          name={name}
          hosts={hostOf(textAt(text, ['baseUrl']))}
          onDone={use}
          onClose={() => setUploads(null)}
        />
      )}
      <SecretField
        editing={editing}
        path={['tls', 'ca']}
        label="Authority (PEM)"
        suggested={`${name}-ca`}
        hint="For a server whose certificate no public authority has signed."
      />
      <SecretField
        editing={editing}
        path={['tls', 'cert']}
        label="Client certificate (PEM)"
        suggested={`${name}-cert`}
      />
      <SecretField editing={editing} path={['tls', 'key']} label="Its key (PEM)" suggested={`${name}-key`} />
      <SecretField
        editing={editing}
        path={['tls', 'pfx']}
        label="Or both in a PKCS #12 file (Base64)"
        suggested={`${name}-pfx`}
      />
      <SecretField
        editing={editing}
        path={['tls', 'passphrase']}
        label="Passphrase of the key or file"
        suggested={`${name}-passphrase`}
      />
      <SwitchField
        editing={editing}
        path={['tls', 'insecure']}
        label="Accept any certificate"
        hint="Only for trying things: anybody on the way can read along."
        on={true}
        off={undefined}
        isOn={valueAt(editing.text, ['tls', 'insecure']) === true}
      />
    </>
  )
}

/** The host of a URL. Empty if the text is no URL yet. */
function hostOf(baseUrl: string): string {
  return URL.parse(baseUrl)?.host ?? ''
}

/** The host of a URL, if a secret may be granted to it: it has TLS, or is on this machine. */
function grantFor(address: string): string {
  const url = URL.parse(address)
  const isSafe = url?.protocol === 'https:' || /^(localhost|127\.[\d.]+|\[::1\])$/.test(url?.hostname ?? '')
  return isSafe ? hostOf(address) : ''
}
