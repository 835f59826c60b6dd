/** Finds the servers to which the secrets of a resource are sent. */
import type { DestinationSpec, KafkaSourceSpec, SourceSpec } from '@sluice/contracts/resources'
import { SERVER_PORTS, type ServerSourceSpec } from '@sluice/contracts/source-types'
import { fillSecrets, type SecretFor, type SecretUse } from '@sluice/contracts/secret-references'
import { withoutBrackets } from '@sluice/contracts/specs/http-texts'

const WEB_PORTS = { 'http:': 80, 'https:': 443 } as const

/** Returns the server of a destination's connections; null if `baseUrl` is no URL of HTTP. */
export function useByDestination({
  baseUrl,
  tls,
}: Pick<DestinationSpec, 'baseUrl' | 'tls'>): SecretUse | null {
  const url = URL.parse(baseUrl)
  const { protocol } = url ?? {}
  if (url === null || (protocol !== 'http:' && protocol !== 'https:')) return null
  const port = url.port === '' ? WEB_PORTS[protocol] : Number(url.port)
  const isChecked = protocol === 'https:' && tls?.insecure !== true
  return { as: 'destination', host: withoutBrackets(url.hostname), port, tls: isChecked }
}

/**
 * Returns the servers that a destination's requests reach: the server of the connection, and the site that a
 * header `Host` names, since a server of many sites passes requests on by that name. Returns none if
 * `baseUrl` is no URL of HTTP.
 */
export function usesByDestination({
  headers = {},
  ...destination
}: Pick<DestinationSpec, 'baseUrl' | 'tls' | 'headers'>): readonly SecretUse[] {
  const own = useByDestination(destination)
  if (own === null) return []
  const [, site] = Object.entries(headers).find(([name]) => name.toLowerCase() === 'host') ?? []
  if (site === undefined) return [own]
  // A text with a secret in it names no host, so no grant covers it.
  const [, host = site, port] = /^(\[[^\]]+\]|[^:[\]]+)(?::(\d+))?$/.exec(site.trim()) ?? []
  return [own, { ...own, host: withoutBrackets(host), port: port === undefined ? own.port : Number(port) }]
}

/**
 * Returns a function that finds secrets which may go to all of these servers. It throws as `secretFor` does.
 */
export function findFor(uses: readonly SecretUse[], secretFor: SecretFor): (name: string) => string {
  return name => uses.map(use => secretFor(name, use)).at(-1) ?? ''
}

/**
 * Returns the servers of a destination's token endpoints; none without OAuth 2. The client's credentials go
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

/** Returns the database server of a source; null if `url` names none. */
export function useBySource({
  type,
  url: text,
  tls,
}: Pick<ServerSourceSpec, 'type' | 'url' | 'tls'>): SecretUse | null {
  const url = URL.parse(text)
  if (url === null || url.hostname === '') return null
  const port = url.port === '' ? SERVER_PORTS[type] : Number(url.port)
  const isChecked = tls !== undefined && tls.insecure !== true
  return { as: 'source', host: withoutBrackets(url.hostname), port, tls: isChecked }
}

/** A part of a source that may hold secrets, and the servers that get them. */
interface SecretPart {
  readonly text: string
  readonly uses: readonly SecretUse[]
}

/** Returns the parts of a source that may hold secrets. */
export function secretParts(source: SourceSpec): readonly SecretPart[] {
  if ('path' in source) return []
  if (source.type === 'kafka') {
    const { brokers, sasl, tls, registry = '' } = source
    const login = JSON.stringify([sasl, tls])
    return [
      { text: login, uses: brokers.map(broker => useByBroker(broker, tls)) },
      { text: registry, uses: usesByRegistry(source) },
    ]
  }
  const own = useBySource(source)
  return own === null ? [] : [{ text: JSON.stringify(source), uses: [own] }]
}

export function useByBroker(broker: string, tls: KafkaSourceSpec['tls']): SecretUse {
  const end = broker.lastIndexOf(':')
  const isChecked = tls !== undefined && tls.insecure !== true
  return {
    as: 'source',
    host: withoutBrackets(broker.slice(0, end)),
    port: Number(broker.slice(end + 1)),
    tls: isChecked,
  }
}

/** Returns the server of the schema registry; none without one. */
export function usesByRegistry({
  registry,
  tls,
}: Pick<KafkaSourceSpec, 'registry' | 'tls'>): readonly SecretUse[] {
  if (registry === undefined) return []
  // A secret in the URL is user or password, so it does not change the server.
  const baseUrl = registry.replaceAll(/\$\{secret:[^}]*\}/g, 'secret')
  const use = useByDestination({ baseUrl, tls })
  return use === null ? [] : [{ ...use, as: 'source' }]
}
