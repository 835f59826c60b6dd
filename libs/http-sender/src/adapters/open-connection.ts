/**
 * Opens the connections of the sender: guarded, through a proxy, and encrypted as the destination wants it.
 */
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { buildConnector } from 'undici'
import {
  assertPublicHost,
  isPrivateAddressError,
  isPublicAddress,
  privateAddressError,
  publicLookup,
} from '../egress-guard.ts'
import { isReachedDirectly, type ProxyTunnels } from './proxy-tunnel.ts'
import { sharedLookup } from './shared-lookup.ts'
import { secureContextOf } from '../certificates.ts'
import type { ConnectionOptions } from '../port.ts'

export interface ConnectionSurroundings {
  readonly connectTimeoutMs: number
  /** True: no connection goes to a private network, whatever its options say. */
  readonly neverPrivate: boolean
  readonly proxy: { readonly tunnels: ProxyTunnels; readonly except: string } | null
  /** Called with each connection that is open. */
  readonly onOpen: (socket: Socket) => void
  /** Called with each error that comes from opening a connection. */
  readonly onError: (error: object) => void
}

const OPERATOR_REFUSES = 'The operator refuses them (SLUICE_DESTINATION_PRIVATE_NETWORKS)'

type Target = buildConnector.Options
type Callback = buildConnector.Callback

/** Throws, in words about the certificates, if `tls` cannot be used. */
export function connectorOf(
  { tls, allowPrivateNetwork: allows = true }: ConnectionOptions,
  { connectTimeoutMs, neverPrivate, proxy, onOpen, onError }: ConnectionSurroundings,
): buildConnector.connector {
  const allowPrivateNetwork = allows && !neverPrivate
  const remedy = neverPrivate ? OPERATOR_REFUSES : undefined
  const lookup = allowPrivateNetwork ? sharedLookup() : publicLookup(sharedLookup(), remedy)
  const connect = buildConnector({
    allowH2: false,
    timeout: connectTimeoutMs,
    lookup,
    ...(tls === undefined ? {} : { secureContext: secureContextOf(tls) }),
    ...(tls?.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: tls.rejectUnauthorized }),
  })
  const failing = (callback: Callback) => (thrown: unknown) => {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    onError(error)
    callback(error, null)
  }
  const open = (target: Target, callback: Callback, accept: (socket: Socket) => void) =>
    connect({ ...target, servername: serverName(target.hostname) }, (...[error, socket]) => {
      if (error !== null) return failing(callback)(error)
      try {
        accept(socket)
        onOpen(socket)
      } catch (refused) {
        socket.destroy()
        return failing(callback)(refused)
      }
      callback(null, socket)
    })
  const tunnel = async (target: Target, tunnels: ProxyTunnels): Promise<Socket> => {
    if (!allowPrivateNetwork) await assertNotKnownAsPrivate(target.hostname, lookup)
    return tunnels.open(target.hostname, portOf(target))
  }
  return (target, callback) => {
    const fail = failing(callback)
    try {
      if (!allowPrivateNetwork) assertPublicHost(target.hostname, remedy)
    } catch (error) {
      return queueMicrotask(() => fail(error))
    }
    // Returning the socket lets undici give up an attempt that no request waits for any more.
    if (proxy === null || !goesThrough(proxy.except, target))
      return open(target, callback, allowPrivateNetwork ? acceptAny : acceptPublic)
    tunnel(target, proxy.tunnels).then(
      httpSocket => void open({ ...target, httpSocket }, callback, acceptAny),
      fail,
    )
  }
}

/**
 * The name that a server has to prove: the one of the URL. undici would take it from a header `Host`, which
 * an author writes. Empty for an address, which TLS cannot ask for: node:tls then looks for it in the
 * certificate.
 */
function serverName(hostname: string): string {
  return isIP(hostname) === 0 ? hostname : ''
}

function acceptAny(): void {}

/** The last look, at the address of the connection itself, before a byte of a request is written. */
function acceptPublic(socket: Socket): void {
  const { remoteAddress = '' } = socket
  if (!isPublicAddress(remoteAddress)) throw privateAddressError(remoteAddress, [remoteAddress])
}

function goesThrough(except: string, target: Target): boolean {
  return target.protocol === 'https:' && !isReachedDirectly(target.hostname, portOf(target), except)
}

function portOf({ port, protocol }: Target): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
}

/**
 * The proxy looks names up by itself. A name that this machine knows as private is refused all the same. A
 * name that it does not know is up to the proxy, since machines behind one often know no names outside.
 */
function assertNotKnownAsPrivate(hostname: string, look: LookupFunction): Promise<void> {
  return new Promise((resolve, reject) => {
    look(hostname, { all: true }, error => {
      if (error !== null && isPrivateAddressError(error)) reject(error)
      else resolve()
    })
  })
}
