/**
 * What Sluice keeps of a login in the vault: the refresh token, which servers may replace with each use, or
 * an access token that came without one.
 */
import * as oauth from 'oauth4webapi'
import { createHash, randomUUID } from 'node:crypto'
import { z } from 'zod'
import { SluiceError, messageOf } from '@sluice/contracts/errors'
import type { OAuthSpec } from '@sluice/contracts/specs/oauth-specs'
import { namesOf } from './settings.ts'
import type { TokenGrant } from './token-request.ts'

const schema = z.object({
  /** Of all that follows from one login: other tokens are not mixed with these. */
  epoch: z.string(),
  /**
   * Fingerprint of client, token endpoint, password and first refresh token. A login of others does not
   * count.
   */
  of: z.string(),
  refreshToken: z.string().nullable(),
  /** Only without a refresh token. */
  access: z.object({ accessToken: z.string(), type: z.string(), untilMs: z.number().nullable() }).nullable(),
})

export type Login = z.output<typeof schema>

/** Throws `corrupt` for a text that is no login. */
export function parseLogin(text: string): Login {
  try {
    return schema.parse(JSON.parse(text))
  } catch {
    throw new SluiceError('corrupt', 'what the vault keeps of a login cannot be read')
  }
}

export function newEpoch(): string {
  return randomUUID().slice(0, 8)
}

/**
 * Whose login it is. It stands in the vault alone. A login that nobody made by hand has no grants of its own:
 * those of the password, or of the first refresh token, count for it. So who does not know these has another
 * one.
 */
export function loginOf(of: {
  readonly tokenUrl: string
  readonly clientId: string
  readonly refreshToken: string | null
  readonly username: string | null
  readonly password: string | null
}): string {
  const { tokenUrl, clientId, refreshToken, username, password } = of
  const client = [tokenUrl, clientId, refreshToken]
  const text = JSON.stringify(password === null ? client : [...client, username, password])
  return createHash('sha256').update(text).digest('hex')
}

export interface Authorization {
  /** Where the person logs in. */
  readonly url: string
  /** What a token is asked for by. Throws `config` for a URL that is not the end of this login. */
  readonly grantOf: (redirected: URL) => TokenGrant
}

/**
 * The authorization code grant (RFC 6749 §4.1) with PKCE (RFC 7636) and a state, up to the code.
 *
 * `fill` fills secrets into a text that goes to the server at which the person logs in.
 */
export async function authorize(
  spec: OAuthSpec,
  of: { readonly redirectUri: string; readonly fill: (text: string) => string },
): Promise<Authorization> {
  const { redirectUri, fill } = of
  const { authorizationUrl = '', authorizationParams = {} } = spec
  const { clientId, scope, audience } = namesOf(spec, fill)
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const url = new URL(fill(authorizationUrl))
  const parameters = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    ...(scope === null ? {} : { scope }),
    ...(audience === null ? {} : { audience }),
    ...Object.fromEntries(Object.entries(authorizationParams).map(([name, text]) => [name, fill(text)])),
    // Nobody may take these away.
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  const grantOf = (redirected: URL): TokenGrant => {
    // The server is known by its address alone, so whatever issuer it names is that of this login.
    const issuer = redirected.searchParams.get('iss') ?? url.origin
    try {
      const found = oauth.validateAuthResponse({ issuer }, { client_id: clientId }, redirected, state)
      const code = found.get('code')
      if (code === null || code === '') throw new Error('it has no code')
      return { kind: 'code', code, verifier, redirectUri }
    } catch (cause) {
      const said = redirected.searchParams.get('error_description') ?? redirected.searchParams.get('error')
      const why = said ?? messageOf(cause)
      throw new SluiceError('config', `That is not the end of this login: ${why}`, { cause })
    }
  }
  return { url: url.href, grantOf }
}

/**
 * How a destination without an access token is told, and how that is recognised.
 *
 * The sentence about a destination for which there is no token. `why` ends it.
 */
export function noToken(destination: string, why: string): string {
  return `Destination \`${destination}\`: no token${why}`
}

/** True for a text that tells of a destination without a token. */
export function tellsOfNoToken(text: string): boolean {
  return /^Destination `[^`]*`: (?:no token|its token had ended)/.test(text)
}
