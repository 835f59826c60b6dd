/** Which server the secrets of a resource are sent to. */
import type { DestinationSpec, MysqlSourceSpec, PostgresSourceSpec } from '@sluice/contracts/resources'
import { fillSecrets, type SecretUse } from '@sluice/contracts/secret-references'
import { withoutBrackets } from '@sluice/contracts/specs/http-texts'

const DEFAULT_PORTS = { postgres: 5432, mysql: 3306, 'http:': 80, 'https:': 443 } as const

/**
 * The server that a destination's requests go to; null if `baseUrl` is none of HTTP. A header `Host` changes
 * what the server is told, and not where the connection goes.
 */
export function useByDestination({
  baseUrl,
  tls,
}: Pick<DestinationSpec, 'baseUrl' | 'tls'>): SecretUse | null {
  const url = URL.parse(baseUrl)
  const { protocol } = url ?? {}
  if (url === null || (protocol !== 'http:' && protocol !== 'https:')) return null
  const port = url.port === '' ? DEFAULT_PORTS[protocol] : Number(url.port)
  const isChecked = protocol === 'https:' && tls?.insecure !== true
  return { as: 'destination', host: withoutBrackets(url.hostname), port, tls: isChecked }
}

/**
 * The servers that a destination's tokens are asked for at; none without OAuth 2. What proves the client goes
 * there, and so do the certificates of the destination.
 */
export function usesByTokens({ auth, tls }: Pick<DestinationSpec, 'auth' | 'tls'>): readonly SecretUse[] {
  if (auth === undefined || !('oauth2' in auth)) return []
  const { tokenUrl, refreshUrl } = auth.oauth2
  const urls = [tokenUrl, ...(refreshUrl === undefined ? [] : [refreshUrl])]
  return urls.flatMap(url => {
    const use = useByDestination({ baseUrl: fillSecrets(url, () => ''), tls })
    return use === null ? [] : [use]
  })
}

/** The database server that a source connects to; null if `url` names none. */
export function useBySource({
  type,
  url: text,
  tls,
}: Pick<PostgresSourceSpec | MysqlSourceSpec, 'type' | 'url' | 'tls'>): SecretUse | null {
  const url = URL.parse(text)
  if (url === null || url.hostname === '') return null
  const port = url.port === '' ? DEFAULT_PORTS[type] : Number(url.port)
  const isChecked = tls !== undefined && tls.insecure !== true
  return { as: 'source', host: withoutBrackets(url.hostname), port, tls: isChecked }
}
