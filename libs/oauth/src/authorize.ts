/**
 * The authorization code grant (RFC 6749 §4.1) with PKCE (RFC 7636) and a state, up to the code. It is a file
 * of its own, since only logins by a person need the package that it loads.
 */
import * as oauth from 'oauth4webapi'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import type { OAuthSpec } from '@sluice/contracts/specs/oauth-specs'
import { namesOf } from './settings.ts'
import type { TokenGrant } from './token-request.ts'

export interface Authorization {
  /** The address at which the person logs in. */
  readonly url: string
  /**
   * Returns the grant to ask for a token with. Throws `config` for a URL that is not the end of this login.
   */
  readonly grantOf: (redirected: URL) => TokenGrant
}

/** Begins a login. `fill` fills secrets into a text that goes to the authorization server. */
export async function authorize(
  spec: OAuthSpec,
  { redirectUri, fill }: { readonly redirectUri: string; readonly fill: (text: string) => string },
): Promise<Authorization> {
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
    // The parameters of the user must not replace these.
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  const grantOf = (redirected: URL): TokenGrant => {
    // Only the address of the server is known. So any issuer that it names is the right one.
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
