/** Logs in to a destination in a browser, and keeps the tokens in the vault. */
import { SluiceError } from '@sluice/contracts/errors'
import type { DestinationSpec } from '@sluice/contracts/resources'
import { fillSecrets, type SecretFor, type SecretUse } from '@sluice/contracts/secret-references'
import { connectionOf } from '@sluice/delivery/destination/attempt-credentials'
import { findFor, useByDestination, usesByDestination, usesByTokens } from '@sluice/domain/secret-uses'
import type { HttpSender } from '@sluice/http-sender/port'
import { authorize, type Authorization } from '@sluice/oauth/authorize'
import { loginOf, newEpoch, type Login } from '@sluice/oauth/login'
import { oauthSettings } from '@sluice/oauth/settings'
import { TokenEndpoint } from '@sluice/oauth/token-request'
import { grantFor } from '@sluice/secrets/grants'
import type { Vault } from '@sluice/secrets/vault/vault'

/** The caller of the command logs in from their own machine, which may reach private networks. */
const PROFILE = { allowPrivateNetwork: true }

export interface LoggingIn {
  readonly url: string
  /** The server that is given the code of the login, and answers with the tokens. */
  readonly codeTo: string
  /** The hosts that the tokens may go to once the login is finished. */
  readonly grants: string
  /** Throws `config` for a URL that is not the end of this login. */
  readonly grantOf: Authorization['grantOf']
  /**
   * Asks for the tokens and keeps them. Resolves with the hosts that the login may go to, and whether it can
   * be renewed. Rejects with `config` or `unreachable` if the server gives none.
   */
  readonly finish: (
    grant: ReturnType<Authorization['grantOf']>,
    options: {
      readonly signal: AbortSignal
      /** The person who has logged in: the name of a token, or of the user of a command. */
      readonly by: string
    },
  ) => Promise<{ readonly grants: string; readonly renews: boolean }>
}

/** The redirect URI that the destination configures; null if it leaves that to the command. */
export function configuredRedirect({ auth }: DestinationSpec): string | null {
  if (auth === undefined || !('oauth2' in auth)) return null
  return auth.oauth2.authorizationParams?.['redirect_uri'] ?? null
}

/** Throws `usage` for a destination that nobody logs in to, and `config` for missing secrets. */
export async function beginLogin(
  destination: DestinationSpec,
  {
    redirectUri,
    secretFor,
    sender,
    vault,
    profile = PROFILE,
  }: {
    readonly redirectUri: string
    readonly secretFor: SecretFor
    readonly sender: HttpSender
    readonly vault: Vault
    /** The default for destinations that do not say if the token endpoint may be in a private network. */
    readonly profile?: { readonly allowPrivateNetwork: boolean }
  },
): Promise<LoggingIn> {
  const { name, auth } = destination
  if (auth === undefined || !('oauth2' in auth) || auth.oauth2.grant !== 'authorization-code')
    throw new SluiceError(
      'usage',
      `The destination \`${name}\` has no login in the browser: it has no \`auth: { oauth2: { grant: authorization-code } }\`.`,
    )
  for (const field of ['tokenUrl', 'refreshUrl', 'authorizationUrl'] as const)
    assertEncrypted(destination, field, auth.oauth2[field])
  const atTokens = usesByTokens(destination)
  const uses = [...usesByDestination(destination), ...atTokens]
  const filling =
    (places: readonly SecretUse[]) =>
    (text: string): string =>
      fillSecrets(text, findFor(places, secretFor))
  const fill = filling(uses)
  const settings = oauthSettings(auth.oauth2, fill)
  // The browser of the person sends this URL, with the secrets in it, to the authorization server.
  const atLogin = useByDestination({ baseUrl: auth.oauth2.authorizationUrl ?? '' })
  const there = atLogin === null ? uses : [...uses, atLogin]
  const { url, grantOf } = await authorize(auth.oauth2, { redirectUri, fill: filling(there) })
  const grants = [...new Set(uses.map(grantFor))].join(', ')
  return {
    url,
    codeTo: originOf(atTokens[0]),
    grants,
    grantOf,
    finish: async (grant, { signal, by }) => {
      const connection = connectionOf(destination, fill, profile)
      const { answer } = await new TokenEndpoint(sender).ask(settings, grant, { connection, signal })
      if (answer.kind === 'refused') {
        const message = `${settings.tokenUrl} gives no token: ${answer.message}`
        throw new SluiceError(answer.mayPass ? 'unreachable' : 'config', message)
      }
      const { accessToken, type, lifeMs, refreshToken } = answer
      const untilMs = lifeMs === null ? null : Date.now() + lifeMs
      const login: Login = {
        epoch: newEpoch(),
        of: loginOf(settings),
        refreshToken,
        access: refreshToken === null ? { accessToken, type, untilMs } : null,
      }
      await vault.set({ kind: 'login', name, value: JSON.stringify(login), grants, by }, { signal })
      return { grants, renews: refreshToken !== null }
    },
  }
}

/** Code, verifier and tokens of a login are worth as much as a password. */
function assertEncrypted({ name, tls }: DestinationSpec, field: string, url: string | undefined): void {
  const use = url === undefined ? null : useByDestination({ baseUrl: url, tls })
  if (use === null || !grantFor(use).endsWith(' plain')) return
  const message = `the \`${field}\` of a login has to be https://, or to lead to this machine, and leads to ${originOf(use)}`
  const insecure =
    tls?.insecure === true ? ', whose certificate is not checked (`tls: { insecure: true }`)' : ''
  throw new SluiceError('config', `Destination \`${name}\`: ${message}${insecure}.`, {
    details: [{ field: `auth.oauth2.${field}`, message: `${message}${insecure}` }],
  })
}

function originOf(use: SecretUse | undefined): string {
  return use === undefined ? '' : (grantFor(use).split(' ')[0] ?? '')
}
