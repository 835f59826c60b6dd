/** The OAuth 2 settings of a destination: only the fields that the chosen grant has. */
import type { ReactElement } from 'react'
import { nameIn, textAt, valueAt, withValue } from './draft.ts'
import { ChoiceField, PairsField, SecretField, TextField } from './fields.tsx'
import type { Editing } from './use-editing.ts'

const AT = ['auth', 'oauth2']
const GRANTS = [
  ['client-credentials', 'Client credentials', 'Sluice signs in as itself.'],
  ['authorization-code', 'Authorization code', 'A person logs in once.'],
  ['password', 'Password', 'Sluice signs in as a user, with their password.'],
  ['refresh-token', 'Refresh token', 'You already have one from the API.'],
  ['jwt-bearer', 'JWT bearer', 'Sluice signs an assertion with a private key.'],
] as const

/** The fields that only some grants have, or only some ways to authenticate the client. */
const CONDITIONS: { readonly [field: string]: (auth: Chosen) => boolean } = {
  authorizationUrl: ({ grant }) => grant === 'authorization-code',
  authorizationParams: ({ grant }) => grant === 'authorization-code',
  username: ({ grant }) => grant === 'password' || grant === 'jwt-bearer',
  password: ({ grant }) => grant === 'password',
  refreshToken: ({ grant }) => grant === 'refresh-token',
  privateKey: chosen => signs(chosen),
  keyId: chosen => signs(chosen),
  clientSecret: ({ by }) => by !== 'private_key_jwt',
  assertionAudience: ({ by }) => by === 'private_key_jwt',
}

interface Chosen {
  readonly grant: string
  readonly by: string
}

const signs = ({ grant, by }: Chosen): boolean => by === 'private_key_jwt' || grant === 'jwt-bearer'

function chosenIn(text: string): Chosen {
  return { grant: textAt(text, [...AT, 'grant']), by: textAt(text, [...AT, 'clientAuthentication']) }
}

/** Takes away what the grant has no use for, and names the secrets that it needs. */
function fitting(text: string): string {
  const chosen = chosenIn(text)
  const name = nameIn(text)
  const needed: { readonly [field: string]: string } = {
    password: `\${secret:${name}-password}`,
    refreshToken: `\${secret:${name}-refresh-token}`,
    privateKey: `\${secret:${name}-key}`,
  }
  let next = text
  for (const [field, fits] of Object.entries(CONDITIONS)) {
    const path = [...AT, field]
    if (!fits(chosen)) next = withValue(next, path, undefined)
    else if (needed[field] !== undefined && valueAt(next, path) === undefined)
      next = withValue(next, path, needed[field])
  }
  return next
}

interface OAuthProps {
  readonly editing: Editing
  /** The hosts that the secrets go to. */
  readonly hosts: string
}

export function OAuthFields({ editing, hosts }: OAuthProps): ReactElement {
  const { text } = editing
  const name = nameIn(text)
  const fits = { ...editing, change: (changed: string) => editing.change(fitting(changed)) }
  const chosen = chosenIn(text)
  const has = (field: string): boolean => CONDITIONS[field]?.(chosen) ?? true
  const at = (...path: readonly string[]): readonly string[] => [...AT, ...path]
  const secret = (field: string, label: string, suggested: string, hint?: string): ReactElement | null =>
    has(field) ? (
      <SecretField {...{ editing, label, hint, hosts }} path={at(field)} suggested={`${name}-${suggested}`} />
    ) : null
  return (
    <>
      <ChoiceField editing={fits} path={at('grant')} label="Grant" isWritten choices={GRANTS} />
      <TextField
        editing={editing}
        path={at('tokenUrl')}
        label="Token URL"
        placeholder="https://login.example.com/oauth2/token"
      />
      {has('authorizationUrl') ? (
        <>
          <TextField
            editing={editing}
            path={at('authorizationUrl')}
            label="Authorization URL"
            placeholder="https://login.example.com/oauth2/authorize"
          />
          <p className="quiet">Once it is saved, log in on the page of the destination.</p>
        </>
      ) : null}
      <TextField editing={editing} path={at('clientId')} label="Client id" />
      {secret('clientSecret', 'Client secret', 'client')}
      {has('username') ? (
        <TextField
          editing={editing}
          path={at('username')}
          label="User"
          hint={
            chosen.grant === 'jwt-bearer'
              ? 'The subject of the assertion; empty for the client id'
              : undefined
          }
        />
      ) : null}
      {secret('password', 'Password', 'password')}
      {secret(
        'refreshToken',
        'Refresh token',
        'refresh-token',
        'The first one; Sluice keeps those that follow.',
      )}
      {secret('privateKey', 'Private key (PEM)', 'key')}
      <TextField editing={editing} path={at('scopes')} label="Scopes" isList hint="Separated by commas" />
      <MoreOfOAuth {...{ editing: fits, hosts, has }} />
    </>
  )
}

interface MoreProps {
  readonly editing: Editing
  readonly hosts: string
  readonly has: (field: string) => boolean
}

/** The settings that most APIs do not need. */
function MoreOfOAuth({ editing, hosts, has }: MoreProps): ReactElement {
  const name = nameIn(editing.text)
  const at = (...path: readonly string[]): readonly string[] => [...AT, ...path]
  return (
    <details>
      <summary>More of OAuth: audience, refresh URL, parameters</summary>
      <ChoiceField
        editing={editing}
        path={at('clientAuthentication')}
        label="Client authentication"
        choices={[
          ['', 'as usual', 'HTTP Basic, if there is a client secret.'],
          ['header', 'HTTP Basic'],
          ['body', 'in the body of the token request'],
          ['private_key_jwt', 'a JWT signed with a private key'],
        ]}
      />
      <TextField editing={editing} path={at('audience')} label="Audience" hint="Whom the token is for" />
      {has('keyId') ? <TextField editing={editing} path={at('keyId')} label="Key id (kid)" /> : null}
      {has('assertionAudience') ? (
        <TextField
          editing={editing}
          path={at('assertionAudience')}
          label="Audience of the client’s JWT"
          hint="Empty for the token URL"
        />
      ) : null}
      <TextField
        editing={editing}
        path={at('refreshUrl')}
        label="Refresh URL"
        hint="Empty if it is the token URL"
      />
      {has('authorizationParams') ? (
        <PairsField
          editing={editing}
          path={at('authorizationParams')}
          label="Parameters of the authorization request"
        />
      ) : null}
      {(['tokenRequest', 'refreshRequest'] as const).flatMap(request =>
        (['body', 'query', 'headers'] as const).map(part => (
          <PairsField
            key={`${request}.${part}`}
            editing={editing}
            path={at(request, part)}
            label={`${PARTS[part]} of the ${request === 'tokenRequest' ? 'token' : 'refresh'} request`}
            suggested={`${name}-${request === 'tokenRequest' ? 'token' : 'refresh'}`}
            hosts={hosts}
          />
        )),
      )}
    </details>
  )
}

const PARTS = { body: 'Body parameters', query: 'Query parameters', headers: 'Headers' } as const
