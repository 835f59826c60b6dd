/**
 * Opens the connections of the sender: guarded, through a proxy, and encrypted as the destination demands.
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
  /** If true, no connection goes to a private network, whatever its options say. */
  readonly neverPrivate: boolean
  readonly proxy: { readonly tunnels: ProxyTunnels; readonly except: string } | null
  /** Called with each connection that is open. */
  readonly onOpen: (socket: Socket) => void
  /** Called with each error of opening a connection. */
  readonly onError: (error: object) => void
}

const OPERATOR_REFUSES = 'The operator refuses them (SLUICE_DESTINATION_PRIVATE_NETWORKS)'

type Target = buildConnector.Options
type Callback = buildConnector.Callback

/**
 * Returns the connector of connections with these options. Throws if the certificates in `tls` cannot be
 * used.
 */
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
    // With the returned socket, undici can stop connecting when no request waits for it any more.
    if (proxy === null || !goesThrough(proxy.except, target))
      return open(target, callback, allowPrivateNetwork ? acceptAny : acceptPublic)
    tunnel(target, proxy.tunnels).then(
      httpSocket => void open({ ...target, httpSocket }, callback, acceptAny),
      fail,
    )
  }
}

/**
 * Returns the name that a server has to prove: the host of the URL. undici would take it from a header
 * `Host`, which a user may set. It is empty for an address, which TLS cannot send: node:tls then looks for
 * the address in the certificate.
 */
function serverName(hostname: string): string {
  return isIP(hostname) === 0 ? hostname : ''
}

function acceptAny(): void {}

/** Checks the address of the open connection, before a byte of a request is written. */
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
 * Refuses a name that this machine resolves to private addresses only, although the proxy does its own
 * lookups. A name that this machine cannot resolve is left to the proxy, since machines behind one often
 * resolve no outside names.
 */
function assertNotKnownAsPrivate(hostname: string, look: LookupFunction): Promise<void> {
  return new Promise((resolve, reject) => {
    look(hostname, { all: true }, error => {
      if (error !== null && isPrivateAddressError(error)) reject(error)
      else resolve()
    })
  })
}
