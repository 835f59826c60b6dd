/**
 * Grants: the places where a secret may go. The operator of the process that uses a secret sets them in the
 * environment of that process, beside the secret: `SLUICE_SECRET_CRM_TOKEN_FOR=api.example.com`. A resource
 * or a record never grants anything, since its author may be somebody else. The grammar:
 *
 *     grants = grant *( "," grant )
 *     grant  = host [ ":" port ] [ "source" / "destination" / "alert" ] [ "plain" ]   ; words between spaces
 *     host   = name / "*." name / IPv4 / "[" IPv6 "]"
 *
 * - Without a port, every port is granted. Without a word, sources, destinations and alerts are.
 * - `*.example.com` grants every name below `example.com`, and not `example.com` itself.
 * - A connection has to be encrypted, and its certificate checked. `plain` lifts that, and so does loopback.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { SluiceError } from '@sluice/contracts/errors'
import type { SecretUse } from '@sluice/contracts/secret-references'
import { isLoopback, withBrackets, withoutBrackets } from '@sluice/contracts/specs/http-texts'

/** One place that a secret may go to. */
export interface Grant {
  /** The host in lower case; an address as `URL` writes it. */
  readonly host: string
  /** True for `*.host`. */
  readonly below: boolean
  /** Null for any port. */
  readonly port: number | null
  /** Null for sources, destinations and alerts. */
  readonly as: SecretUse['as'] | null
  /** True if the connection need not be encrypted. */
  readonly plain: boolean
}

/** Returns the grants of a secret, by its name; null without grants. */
export type GrantsOf = (name: string) => readonly Grant[] | null

const WANTED =
  'expected hosts between commas, each as host, host:port or *.domain, with the words source, destination, alert or plain after it, such as `api.example.com, db.internal:5432 source`'

/** Reads the text of a variable. Throws `config`, which names the variable. An empty text grants nothing. */
export function parseGrants(variable: string, text: string): readonly Grant[] {
  if (text.trim() === '') return []
  return text.split(',').map(part => {
    const grant = parseGrant(part.trim())
    if (grant !== null) return grant
    throw new SluiceError('config', `${variable}: ${JSON.stringify(part.trim())} is no grant: ${WANTED}.`)
  })
}

function parseGrant(text: string): Grant | null {
  const [place = '', ...words] = text.split(/\s+/)
  const uses = words.filter(word => word === 'source' || word === 'destination' || word === 'alert')
  const plain = words.includes('plain')
  if (uses.length > 1 || words.length !== uses.length + (plain ? 1 : 0)) return null
  const [, star, host = '', port] = /^(\*\.)?(\[[^\]]+\]|[^:[\]*/@]+)(?::(\d{1,5}))?$/.exec(place) ?? []
  const plainHost = canonicalHost(withoutBrackets(host))
  if (plainHost === null || (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))) return null
  const below = star !== undefined
  // `*.com` would grant half the world.
  if (below && (!plainHost.includes('.') || isAddress(plainHost))) return null
  return {
    host: plainHost,
    below,
    port: port === undefined ? null : Number(port),
    as: uses[0] ?? null,
    plain,
  }
}

/** Returns a host in the form in which hosts are compared; null for a text that is none. */
function canonicalHost(host: string): string | null {
  if (host === '') return null
  const url = URL.parse(`http://${withBrackets(host)}/`)
  if (url === null || url.pathname !== '/' || url.search !== '' || url.username !== '') return null
  return withoutBrackets(url.hostname).replace(/\.$/, '') || null
}

/** True if one of the grants covers the use. */
export function isGranted(grants: readonly Grant[], use: SecretUse): boolean {
  const host = canonicalHost(use.host)
  if (host === null) return false
  return grants.some(
    grant =>
      (grant.below ? host.endsWith(`.${grant.host}`) : host === grant.host) &&
      (grant.port === null || grant.port === use.port) &&
      (grant.as === null || grant.as === use.as) &&
      (grant.plain || use.tls || isLoopback(host)),
  )
}

/** Returns the text of the grant that a use needs. */
export function grantFor({ as, host, port, tls }: SecretUse): string {
  const plainHost = canonicalHost(host) ?? host
  const plain = tls || isLoopback(plainHost) ? '' : ' plain'
  return `${withBrackets(plainHost)}:${port} ${as}${plain}`
}

function isAddress(host: string): boolean {
  return isIPv4(host) || isIPv6(host)
}
