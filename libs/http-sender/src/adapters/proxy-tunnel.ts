/** Opens tunnels through an HTTP proxy, as `HTTPS_PROXY` and `NO_PROXY` define them. */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { withBrackets, withoutBrackets } from '@sluice/contracts/specs/http-texts'
import { Pool, type buildConnector } from 'undici'
import { basicAuthorization } from './split-url.ts'

export interface ProxyOptions {
  /** The proxy for requests to `https://`, such as `http://user:password@proxy:3128`. */
  readonly url: string
  /** Hosts, between commas, that need no proxy: `.corp.example`, `10.0.0.7:8443`, `*`. Default: none. */
  readonly except?: string
}

/** True if the exceptions list `host:port` or a parent domain of it. */
export function isReachedDirectly(host: string, port: number, except: string): boolean {
  const wanted = withoutBrackets(host.toLowerCase())
  return except
    .toLowerCase()
    .split(/[\s,]+/)
    .some(entry => {
      if (entry === '*') return true
      const [, name = '', onPort] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry) ?? []
      const bare = isBareIpv6(entry) ? entry : name.replace(/^\*?\./, '')
      if (bare === '' || (!isBareIpv6(entry) && onPort !== undefined && Number(onPort) !== port)) return false
      return wanted === bare || wanted.endsWith(`.${bare}`)
    })
}

/** True for an IPv6 address without brackets. It has no port: `::1` is not port 1. */
function isBareIpv6(entry: string): boolean {
  return !entry.startsWith('[') && entry.split(':').length > 2
}

/** Opens tunnels. Its disposal does not close open tunnels. */
export class ProxyTunnels {
  readonly #proxy: URL
  readonly #pool: Pool
  readonly #headers: { readonly [name: string]: string }

  constructor(url: string, connect: buildConnector.connector, connectTimeoutMs: number) {
    this.#proxy = new URL(url)
    const authorization = basicAuthorization(this.#proxy)
    this.#headers = authorization === null ? {} : { 'proxy-authorization': authorization }
    this.#pool = new Pool(this.#proxy.origin, {
      allowH2: false,
      connect,
      headersTimeout: connectTimeoutMs,
    })
  }

  /** Opens a connection to `host:port`. Rejects with an error that names the proxy. */
  async open(host: string, port: number): Promise<Socket> {
    const server = `${withBrackets(host)}:${port}`
    const { socket, statusCode } = await this.#connect(server)
    if (statusCode === 200 && socket instanceof Socket) return socket
    socket.on('error', () => undefined).destroy()
    const why = statusCode === 407 ? 'it wants another user name and password' : 'it does not let it through'
    throw new Error(`the proxy ${this.#proxy.host} answered ${statusCode} for ${server}: ${why}`)
  }

  async #connect(place: string): Promise<{ readonly socket: Duplex; readonly statusCode: number }> {
    try {
      return await this.#pool.connect({ path: place, headers: { ...this.#headers, host: place } })
    } catch (error) {
      const text = error instanceof Error && error.message !== '' ? error.message : String(error)
      throw new Error(`no tunnel through the proxy ${this.#proxy.host}: ${text}`, { cause: error })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy(new Error('the sender was closed'))
  }
}
