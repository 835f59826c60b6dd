/**
 * Keeps connections out of networks that are not public. The guard looks at addresses, since a name, a
 * redirect of a name, or an odd spelling may lead anywhere: a connection is opened only to an address that
 * has been looked at.
 */
import { lookup as lookupName } from 'node:dns'
import { isIP, Socket, type LookupFunction } from 'node:net'
import { withoutBrackets } from '@sluice/contracts/specs/http-texts'
import ipaddr from 'ipaddr.js'

const PRIVATE_ADDRESS = 'PRIVATE_ADDRESS'

/**
 * IPv6 addresses that stand for the IPv4 address in their last four bytes: mapped, compatible, and NAT64. The
 * prefix of NAT64 for local use (RFC 8215) is not here: who uses it decides where the four bytes are.
 */
const EMBEDDING_IPV4 = ['::ffff:0:0/96', '::/96', '64:ff9b::/96'].map(range => ipaddr.IPv6.parseCIDR(range))
/** Azure's own services for a machine of its. The address looks public, and is reached from inside alone. */
const NOT_PUBLIC = new Set(['168.63.129.16'])

/** True for an address that anybody on the internet may have. An unreadable one is not public. */
export function isPublicAddress(address: string): boolean {
  const bare = withoutBrackets(address).replace(/%.*$/, '')
  if (!ipaddr.isValid(bare)) return false
  const parsed = ipaddr.parse(bare)
  const isEmbedding = parsed instanceof ipaddr.IPv6 && EMBEDDING_IPV4.some(range => parsed.match(range))
  const meant = isEmbedding ? ipaddr.fromByteArray(parsed.toByteArray().slice(12)) : parsed
  return meant.range() === 'unicast' && !NOT_PUBLIC.has(meant.toString())
}

const PERMITS = '`allowPrivateNetwork: true` permits it'

/**
 * Why no connection to `host` is opened, in words for whoever set it up. `remedy` is a sentence without its
 * full stop.
 */
export function privateAddressError(host: string, addresses: readonly string[], remedy = PERMITS): Error {
  const named = addresses.length === 1 && addresses[0] === host
  const what = named
    ? `${host} is not a public address`
    : `${host} leads to ${addresses.join(', ')}, not public`
  const error = new Error(`${what}: private networks may not be reached from here. ${remedy}`)
  return Object.assign(error, { code: PRIVATE_ADDRESS })
}

export function isPrivateAddressError(error: Error): boolean {
  return Reflect.get(error, 'code') === PRIVATE_ADDRESS
}

/** Throws for a host that is written as an address and not public. A name passes: its lookup decides. */
export function assertPublicHost(host: string, remedy?: string): void {
  const bare = withoutBrackets(host)
  if (isIP(bare.replace(/%.*$/, '')) !== 0 && !isPublicAddress(bare))
    throw privateAddressError(bare, [bare], remedy)
}

/** Gives the public addresses of a name. A name that has none fails, with the addresses that it has. */
export function publicLookup(look: LookupFunction, remedy?: string): LookupFunction {
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
        callback(privateAddressError(hostname, addresses, remedy), [])
      } else if (options.all === true) callback(null, open)
      else callback(null, first.address, first.family)
    })
  }
}

/**
 * A socket whose `connect(port, host)` opens connections to public addresses alone. It looks at the address
 * of the connection itself, too, before a byte goes out. Otherwise it is destroyed with
 * `privateAddressError`.
 */
export function publicSocket(remedy?: string): Socket {
  const socket = new Socket()
  const connect = socket.connect.bind(socket)
  const lookup = publicLookup(lookupAll, remedy)
  const guarded = (port: number, host: string): Socket => {
    try {
      assertPublicHost(host, remedy)
    } catch (error) {
      return socket.destroy(error instanceof Error ? error : new Error(String(error)))
    }
    // The caller's listeners come later, and write to a socket that is destroyed by then.
    socket.prependOnceListener('connect', () => {
      const { remoteAddress = '' } = socket
      if (!isPublicAddress(remoteAddress))
        socket.destroy(privateAddressError(remoteAddress, [remoteAddress], remedy))
    })
    return connect({ port, host, lookup })
  }
  Reflect.set(socket, 'connect', guarded)
  return socket
}

const lookupAll: LookupFunction = (hostname, options, callback) => {
  lookupName(hostname, { ...options, all: true }, callback)
}
