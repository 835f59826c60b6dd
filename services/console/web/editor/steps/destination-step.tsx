/** The step for the destination: the API, its credentials and its limits. */
import { useState, type ReactElement } from 'react'
import { grantedHost, joinedHosts } from '../../secrets/granted-hosts.ts'
import { fieldsOf, isMap } from '../../ui/fields-of.ts'
import { nameIn, textAt, valueAt, withValue } from '../draft.ts'
import { docsOf } from '../field-docs.ts'
import { PairsField, SecretField, SwitchField, TextField } from '../fields.tsx'
import { LimitsFields } from '../limits-fields.tsx'
import { NamingFields } from '../naming-fields.tsx'
import { OAuthFields } from '../oauth-fields.tsx'
import { isAbsent, ModeField, SelectField } from '../select-field.tsx'
import { DurationField } from '../unit-fields.tsx'
import { UploadCertificate, type TlsReferences } from '../upload-certificate.tsx'
import { TlsSecret } from '../tls-secrets.tsx'
import type { Editing } from '../use-editing.ts'

export function DestinationStep({ editing }: { readonly editing: Editing }): ReactElement {
  const { text } = editing
  const name = nameIn(text)
  const hosts = grantedHost(textAt(text, ['baseUrl']))
  return (
    <>
      <NamingFields editing={editing} />
      <TextField
        editing={editing}
        path={['baseUrl']}
        label="Address of the API"
        placeholder="https://api.example.com/v1"
        hint="Each trigger adds a path to it."
      />
      <PairsField editing={editing} path={['headers']} label="Headers" suggested={name} hosts={hosts} />
      <AuthFields editing={editing} />
      <LimitsFields editing={editing} legend="Limits, over all syncs of this destination" />
      <details>
        <summary>Certificates</summary>
        <TlsFields editing={editing} />
      </details>
      <MoreOfDestination editing={editing} hosts={hosts} />
    </>
  )
}

/** The settings that most destinations do not need. */
function MoreOfDestination({
  editing,
  hosts,
}: {
  readonly editing: Editing
  readonly hosts: string
}): ReactElement {
  const name = nameIn(editing.text)
  return (
    <details>
      <summary>Query parameters, idempotency, circuit breaker, private networks</summary>
      <PairsField
        editing={editing}
        path={['query']}
        label="Query parameters"
        suggested={name}
        hosts={hosts}
        hint="Added to each URL."
      />
      <ModeField
        editing={editing}
        path={['idempotencyHeader']}
        label="Idempotency key"
        hint="An API that knows it does the same request only once."
        modes={[
          { id: 'usual', name: 'in the header Idempotency-Key', start: undefined, fits: isAbsent },
          {
            id: 'own',
            name: 'in another header',
            start: 'X-Request-Id',
            fits: value => typeof value === 'string',
          },
          { id: 'none', name: 'not sent', start: false, fits: value => value === false },
        ]}
      >
        {mode =>
          mode === 'own' ? (
            <TextField editing={editing} path={['idempotencyHeader']} label="Its header" keepsEmpty />
          ) : null
        }
      </ModeField>
      <ModeField
        editing={editing}
        path={['breaker']}
        label="Circuit breaker: pause a destination that fails"
        modes={[
          {
            id: 'usual',
            name: 'after 50 failures in a row',
            meaning: 'The pause lasts 30 seconds.',
            start: undefined,
            fits: isAbsent,
          },
          {
            id: 'own',
            name: 'after another number of failures',
            start: { failures: 50, pause: '30s' },
            fits: isMap,
          },
          { id: 'off', name: 'never', start: false, fits: value => value === false },
        ]}
      >
        {mode =>
          mode === 'own' ? (
            <div className="columns">
              <TextField
                editing={editing}
                path={['breaker', 'failures']}
                label="Failures in a row"
                isNumber
                placeholder="50"
              />
              <DurationField editing={editing} path={['breaker', 'pause']} label="Pause" placeholder="30" />
            </div>
          ) : null
        }
      </ModeField>
      <ModeField
        editing={editing}
        path={['allowPrivateNetwork']}
        label="Private, loopback and link-local addresses"
        modes={[
          { id: 'usual', name: 'as the server allows', start: undefined, fits: isAbsent },
          { id: 'yes', name: 'may be called', start: true, fits: value => value === true },
          { id: 'no', name: 'are never called', start: false, fits: value => value === false },
        ]}
      />
    </details>
  )
}

function AuthFields({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, readOnly } = editing
  const [kind = 'none'] = Object.keys(fieldsOf(valueAt(text, ['auth'])))
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
  const hosts = grantedHost(textAt(text, ['baseUrl']))
  return (
    <fieldset>
      <legend>Authentication</legend>
      <SelectField
        label="Kind"
        docs={docsOf(editing, ['auth'])}
        value={kind}
        readOnly={readOnly}
        options={[
          ['none', 'Not at all, or by a header'],
          ['basic', 'User and password'],
          ['bearer', 'A bearer token'],
          ['oauth2', 'OAuth 2'],
        ]}
        onChoose={chosen => change(withValue(withValue(text, ['auth'], undefined), ['auth'], start[chosen]))}
      />
      {kind === 'basic' ? (
        <>
          <TextField editing={editing} path={['auth', 'basic', 'username']} label="User" />
          <SecretField
            editing={editing}
            path={['auth', 'basic', 'password']}
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
      {kind === 'oauth2' ? <OAuthFields editing={editing} hosts={credentialHosts(text)} /> : null}
    </fieldset>
  )
}

function TlsFields({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, readOnly } = editing
  const name = nameIn(text)
  const hosts = credentialHosts(text)
  const [uploads, setUploads] = useState<'client' | 'authority' | null>(null)
  // A PKCS #12 file replaces certificate and key, and the other way round.
  const use = (tls: TlsReferences): void => {
    const fields = Object.entries(fieldsOf(valueAt(text, ['tls'])))
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
          hosts={hosts}
          onDone={use}
          onClose={() => setUploads(null)}
        />
      )}
      <TlsSecret
        editing={editing}
        field="ca"
        hosts={hosts}
        hint="For a server whose certificate no public authority has signed."
      />
      <TlsSecret editing={editing} field="cert" hosts={hosts} />
      <TlsSecret editing={editing} field="key" hosts={hosts} />
      <TlsSecret editing={editing} field="pfx" hosts={hosts} />
      <TlsSecret editing={editing} field="passphrase" hosts={hosts} />
      <SwitchField
        editing={editing}
        path={['tls', 'insecure']}
        label="Accept any certificate"
        hint="Only for trying things: anybody on the way can read along."
      />
    </>
  )
}

/**
 * The fields with the servers that get the secrets of OAuth 2 and of TLS: the API, and the servers of its
 * tokens.
 */
const SERVERS = [['baseUrl'], ['auth', 'oauth2', 'tokenUrl'], ['auth', 'oauth2', 'refreshUrl']]

/** The hosts that these secrets need, as far as they are known. */
function credentialHosts(text: string): string {
  return joinedHosts(SERVERS.map(path => grantedHost(textAt(text, path))))
}
