/** Finds the hosts that a secret has to go to, in the form of a grant. */
import type { ResourceView } from '@sluice/contracts/api'
import { secretNames } from '@sluice/contracts/secret-references'
import { grantFor, serverParts } from '../editor/server-url.ts'
import { fieldsOf } from '../ui/fields-of.ts'

/** The host of a URL, if a secret may be granted to it: it has TLS, or is on this machine. Empty if not. */
export function grantedHost(address: unknown): string {
  const url = typeof address === 'string' ? URL.parse(address) : null
  const isSafe = url?.protocol === 'https:' || /^(localhost|127\.[\d.]+|\[::1\])$/.test(url?.hostname ?? '')
  return isSafe ? (url?.host ?? '') : ''
}

/** One host alone: a comma would divide two grants, and a star or a blank would grant more than this host. */
const ONE_HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?(?: source)?(?: plain)?$/i

/** Returns one grant for all these hosts. It leaves out a host that would be read as another grant. */
export const joinedHosts = (hosts: readonly string[]): string =>
  [...new Set(hosts)].filter(host => ONE_HOST.test(host)).join(', ')

/**
 * The grant that a secret needs for the stored resource that names it, as far as its hosts are known. Empty
 * if several name it: somebody else may have added one to have the secret sent to another host.
 */
export function hostsFor(secret: string, resources: readonly Pick<ResourceView, 'kind' | 'spec'>[]): string {
  const isIn = (value: unknown): boolean =>
    secretNames(JSON.stringify(value ?? null)).some(
      name => name.toLowerCase().replaceAll('_', '-') === secret,
    )
  const [user, ...others] = resources.filter(({ spec }) => isIn(spec))
  if (user === undefined || others.length > 0) return ''
  if (user.kind === 'source') return joinedHosts(hostsOfSource(user.spec, isIn))
  return user.kind === 'destination' ? joinedHosts(hostsOfDestination(user.spec, isIn)) : ''
}

function hostsOfSource(
  { type, url, tls, brokers, sasl, registry }: ResourceView['spec'],
  isIn: (value: unknown) => boolean,
): readonly string[] {
  const isChecked = tls !== undefined && fieldsOf(tls)['insecure'] !== true
  if (type === 'kafka') {
    const ofBrokers = isIn([sasl, tls]) && Array.isArray(brokers) ? brokers.map(hostOfBroker) : []
    const { protocol, hostname } = (isIn(registry) && URL.parse(withoutSecrets(registry))) || NO_URL
    return [
      ...ofBrokers.map(host => grantOf(host, isChecked)),
      grantOf(hostname, protocol === 'https:' && fieldsOf(tls)['insecure'] !== true),
    ]
  }
  return [grantOf(typeof url === 'string' ? (serverParts(url)?.host ?? '') : '', isChecked)]
}

const NO_URL = { protocol: '', hostname: '' }

/** Returns a URL without the secrets in it, which are user and password. */
const withoutSecrets = (url: unknown): string => String(url).replaceAll(/\$\{secret:[^}]*\}/g, 'secret')

/** Returns the host of `host:port`. */
export const hostOfBroker = (broker: unknown): string => String(broker).replace(/:\d*$/, '')

/** Returns the grant for a host, which may have the brackets of an IPv6 address. Empty without a host. */
export function grantOf(host: string, isChecked: boolean): string {
  return host === '' ? '' : grantFor({ host: host.replaceAll(/[[\]]/g, '') }, isChecked)
}

/** Secrets of OAuth 2 and of TLS go to the servers of tokens, too. */
function hostsOfDestination(
  { baseUrl, auth, tls }: ResourceView['spec'],
  isIn: (value: unknown) => boolean,
): readonly string[] {
  const { oauth2 } = fieldsOf(auth)
  const { tokenUrl, refreshUrl } = fieldsOf(oauth2)
  const isOfTokens = isIn(oauth2) || isIn(tls)
  return [baseUrl, ...(isOfTokens ? [tokenUrl, refreshUrl] : [])].map(grantedHost)
}
