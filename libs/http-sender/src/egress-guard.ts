/**
 * Keeps connections out of networks that are not public. It checks addresses, since a name, a redirect or an
 * odd spelling may lead anywhere. A connection is opened only to an address that was checked.
 */
import { lookup as lookupName } from 'node:dns'
import { isIP, Socket, type LookupFunction } from 'node:net'
import { withoutBrackets } from '@sluice/contracts/specs/http-texts'
import ipaddr from 'ipaddr.js'

const PRIVATE_ADDRESS = 'PRIVATE_ADDRESS'

/**
 * IPv6 addresses that stand for the IPv4 address in their last four bytes: mapped, compatible, and NAT64. The
 * local prefix of NAT64 (RFC 8215) is missing, since each network decides where it puts the four bytes.
 */
const EMBEDDING_IPV4 = ['::ffff:0:0/96', '::/96', '64:ff9b::/96'].map(range => ipaddr.IPv6.parseCIDR(range))
/** The internal services of Azure. The address looks public, but only Azure's machines reach it. */
const NOT_PUBLIC = new Set(['168.63.129.16'])

/** True for an address of the public internet. An address that cannot be parsed is not public. */
export function isPublicAddress(address: string): boolean {
  const bare = withoutBrackets(address).replace(/%.*$/, '')
  if (!ipaddr.isValid(bare)) return false
  const parsed = ipaddr.parse(bare)
  const isEmbedding = parsed instanceof ipaddr.IPv6 && EMBEDDING_IPV4.some(range => parsed.match(range))
  const actual = isEmbedding ? ipaddr.fromByteArray(parsed.toByteArray().slice(12)) : parsed
  return actual.range() === 'unicast' && !NOT_PUBLIC.has(actual.toString())
}

const PERMITS = '`allowPrivateNetwork: true` permits it'

/**
 * Returns the error, for people, of a connection to `host` that is not opened. `remedy` is a sentence without
 * its full stop.
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

/** Throws for a host that is a private address. A name passes, since its lookup decides. */
export function assertPublicHost(host: string, remedy?: string): void {
  const bare = withoutBrackets(host)
  if (isIP(bare.replace(/%.*$/, '')) !== 0 && !isPublicAddress(bare))
    throw privateAddressError(bare, [bare], remedy)
}

/**
 * Returns a lookup that gives only public addresses. It fails for a name without one, and lists the others.
 */
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
 * Returns a socket whose `connect(port, host)` opens connections only to public addresses. It also checks the
 * address of the open connection, before a byte is sent. If it is private, the socket is destroyed with
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
    // The listeners of the caller run later, when the socket is already destroyed.
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
