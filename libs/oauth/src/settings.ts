/** The settings of an OAuth client, with its secrets filled in. */
import { secretNames } from '@sluice/contracts/secret-references'
import type { OAuthSpec } from '@sluice/contracts/specs/oauth-specs'

export interface ExtraParts {
  readonly headers: { readonly [name: string]: string }
  readonly query: { readonly [name: string]: string }
  readonly body: { readonly [name: string]: string }
}

export interface OAuthSettings {
  readonly grant: OAuthSpec['grant']
  readonly tokenUrl: string
  readonly refreshUrl: string
  readonly clientId: string
  readonly clientSecret: string | null
  /** With `none`, the client sends only its id. */
  readonly clientAuthentication: 'header' | 'body' | 'private_key_jwt' | 'none'
  readonly privateKey: string | null
  readonly keyId: string | null
  readonly scope: string | null
  readonly audience: string | null
  /** The audience of the assertion of `private_key_jwt`. */
  readonly assertionAudience: string
  readonly username: string | null
  readonly password: string | null
  /** The first refresh token of a client with `grant: refresh-token`. */
  readonly refreshToken: string | null
  readonly tokenRequest: ExtraParts
  readonly refreshRequest: ExtraParts
  /** All secrets that were filled in. */
  readonly secrets: readonly string[]
}

type Fill = (text: string) => string

/** `fill` fills secrets into a text. Throws as `fill` does. */
export function oauthSettings(spec: OAuthSpec, fill: Fill): OAuthSettings {
  const filled = (text: string | undefined): string | null => (text === undefined ? null : fill(text))
  const clientSecret = filled(spec.clientSecret)
  const privateKey = filled(spec.privateKey)
  const password = filled(spec.password)
  const refreshToken = filled(spec.refreshToken)
  const tokenUrl = fill(spec.tokenUrl)
  const bodies = [spec.tokenRequest, spec.refreshRequest].map(extra => partsOf(extra, fill))
  const [tokenRequest = NO_PARTS, refreshRequest = NO_PARTS] = bodies
  return {
    grant: spec.grant,
    tokenUrl,
    refreshUrl: filled(spec.refreshUrl) ?? tokenUrl,
    ...namesOf(spec, fill),
    clientSecret,
    clientAuthentication: spec.clientAuthentication ?? (clientSecret === null ? 'none' : 'header'),
    privateKey,
    keyId: filled(spec.keyId),
    assertionAudience: filled(spec.assertionAudience) ?? tokenUrl,
    username: filled(spec.username),
    password,
    refreshToken,
    tokenRequest,
    refreshRequest,
    secrets: [
      ...[clientSecret, privateKey, password, refreshToken].filter(text => text !== null),
      // A server may echo any part of its request.
      ...secretNames(JSON.stringify({ ...spec, authorizationParams: {} })).map(name =>
        fill(`\${secret:${name}}`),
      ),
    ],
  }
}

/** Returns the id of a client, and the scope and audience that it asks for. */
export function namesOf(
  { clientId, scopes, audience }: OAuthSpec,
  fill: Fill,
): Pick<OAuthSettings, 'clientId' | 'scope' | 'audience'> {
  return {
    clientId: fill(clientId),
    scope: scopes === undefined ? null : fill(typeof scopes === 'string' ? scopes : scopes.join(' ')),
    audience: audience === undefined ? null : fill(audience),
  }
}

const NO_PARTS: ExtraParts = { headers: {}, query: {}, body: {} }

function partsOf(extra: OAuthSpec['tokenRequest'], fill: Fill): ExtraParts {
  const filled = (texts: { readonly [name: string]: string } = {}): { [name: string]: string } =>
    Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, fill(text)]))
  return { headers: filled(extra?.headers), query: filled(extra?.query), body: filled(extra?.body) }
}

/** True for grants without a login in the vault: they can ask for a first token at any time. */
export function keepsNoLogin(grant: OAuthSettings['grant']): boolean {
  return grant === 'client-credentials' || grant === 'jwt-bearer'
}
