/** Names the credentials of a destination that refuses them, with the act of a person that replaces them. */
import type { DestinationSpec } from '@sluice/contracts/resources'
import { secretNames } from '@sluice/contracts/secret-references'
import type { DestinationHealth } from '@sluice/contracts/views/destination-health'

export interface Credentials {
  /** A sentence that names them. */
  readonly text: string
  readonly fix: NonNullable<DestinationHealth['fix']>
}

/** Headers and query parameters with such names hold credentials, if several of them hold secrets. */
const OF_CREDENTIALS = /auth|key|token|secret|pass/i

/** Returns the credentials that requests to this destination show; null if it names none. */
export function credentialsOf({
  name,
  auth,
  headers = {},
  query = {},
  baseUrl,
}: Pick<DestinationSpec, 'name' | 'auth' | 'headers' | 'query' | 'baseUrl'>): Credentials | null {
  const isByPerson = auth !== undefined && 'oauth2' in auth && auth.oauth2.grant === 'authorization-code'
  if (isByPerson) return { text: 'Its requests carry a token of the login.', fix: { act: 'log-in', name } }
  const texts = Object.entries({ ...query, ...headers })
  const [secret] = [
    ...secretsOf(auth),
    ...texts.filter(([field]) => OF_CREDENTIALS.test(field)).flatMap(([, text]) => secretNames(text)),
    ...texts.flatMap(([, text]) => secretNames(text)),
    ...secretNames(baseUrl),
  ]
  if (secret === undefined) return null
  return {
    text: `Its requests carry the secret \`${secret}\`.`,
    fix: { act: 'set-secret', name: secret },
  }
}

function secretsOf(auth: DestinationSpec['auth']): readonly string[] {
  if (auth === undefined) return []
  if ('bearer' in auth) return secretNames(auth.bearer)
  if ('basic' in auth) return secretNames(auth.basic.password)
  if (!('oauth2' in auth)) return secretNames(JSON.stringify(auth))
  const { clientSecret = '', password = '', refreshToken = '', privateKey = '' } = auth.oauth2
  return [clientSecret, password, refreshToken, privateKey].flatMap(secretNames)
}

/** True for the status of an answer that refuses credentials. */
export function refusesCredentials(status: number | null): boolean {
  return status === 401 || status === 403
}
