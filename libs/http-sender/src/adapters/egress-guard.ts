/**
 * Keeps connections out of networks that are not public. The guard looks at addresses, since a name, a
 * redirect of a name, or an odd spelling may lead anywhere: a connection is opened only to an address that
 * has been looked at.
 */
import { isIP, type LookupFunction } from 'node:net'
import { withoutBrackets } from '@sluice/contracts/specs/http-texts'
import ipaddr from 'ipaddr.js'
import { codeOf } from './describe-error.ts'

const PRIVATE_ADDRESS = 'PRIVATE_ADDRESS'

/** Ranges of ipaddr.js in which an IPv6 address stands for the IPv4 address in its last four bytes. */
const EMBEDDING_IPV4 = new Set(['ipv4Mapped', 'rfc6052'])

/** True for an address that anybody on the internet may have. An unreadable one is not public. */
export function isPublicAddress(address: string): boolean {
  const bare = withoutBrackets(address).replace(/%.*$/, '')
  if (!ipaddr.isValid(bare)) return false
  const parsed = ipaddr.parse(bare)
  const range = parsed.range()
  if (!EMBEDDING_IPV4.has(range)) return range === 'unicast'
  return ipaddr.fromByteArray(parsed.toByteArray().slice(12)).range() === 'unicast'
}

/** Why no connection to `host` is opened, in words for the one who set up the destination. */
export function privateAddressError(host: string, addresses: readonly string[]): Error {
  const named = addresses.length === 1 && addresses[0] === host
  const what = named
    ? `${host} is not a public address`
    : `${host} leads to ${addresses.join(', ')}, not public`
  const error = new Error(
    `${what}: the destination may not reach private networks. \`allowPrivateNetwork: true\` permits it`,
  )
  return Object.assign(error, { code: PRIVATE_ADDRESS })
}

export function isPrivateAddressError(error: Error): boolean {
  return codeOf(error) === PRIVATE_ADDRESS
}

/** Throws for a host that is written as an address and not public. A name passes: its lookup decides. */
export function assertPublicHost(host: string): void {
  const bare = withoutBrackets(host)
  if (isIP(bare.replace(/%.*$/, '')) !== 0 && !isPublicAddress(bare)) throw privateAddressError(bare, [bare])
}

/** Gives the public addresses of a name. A name that has none fails, with the addresses that it has. */
export function publicLookup(look: LookupFunction): LookupFunction {
  return (hostname, options, callback) => {
    look(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null || typeof found === 'string') {
        callback(error ?? new Error('the lookup gave one address where all were asked for'), [])
        return
      }
      const open = found.filter(({ address }) => isPublicAddress(address))
      const [first] = open
      if (first === undefined) {
        const addresses = found.map(({ address }) => address)
        callback(privateAddressError(hostname, addresses), [])
      } else if (options.all === true) callback(null, open)
      else callback(null, first.address, first.family)
    })
  }
}
