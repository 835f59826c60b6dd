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
