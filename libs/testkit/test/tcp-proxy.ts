import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'

/**
 * The fate of the bytes: pass: they go through · refuse: nobody can connect (the port is closed), open
 * connections are cut · swallow: requests go through, answers are dropped, so the server does what the client
 * never hears of · delay: each piece goes through `delayMs` later.
 *
 * After `swallow` an open connection goes on behind a gap, which TCP never does: `cut` it first where the
 * client tells answers apart by their order alone.
 */
export type ProxyMode =
  | { readonly kind: 'pass' }
  | { readonly kind: 'refuse' }
  | { readonly kind: 'swallow' }
  | { readonly kind: 'delay'; readonly delayMs: number }

export interface TcpProxyOptions {
  /** The address to which the bytes go. */
  readonly target: { readonly host: string; readonly port: number }
}

interface Link {
  readonly client: Socket
  readonly server: Socket
  readonly lanes: readonly Lane[]
}

/**
 * A TCP proxy on loopback for tests that need a network that fails: real sockets with real resets. It keeps
 * its port until it is closed, also through `refuse`, so that clients find it again. States: listening ⇄
 * refusing → closed. Counts the bytes that go through each way.
 */
export class TcpProxy implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly #target: TcpProxyOptions['target']
  readonly #links = new Set<Link>()
  #server: Server | null = null
  #port = 0
  #mode: ProxyMode = { kind: 'pass' }
  #waiting: (() => void)[] = []
  /** Bytes that clients have sent and the target was given. */
  bytesUp = 0
  /** Bytes that the target has sent and clients were given, swallowed ones not among them. */
  bytesDown = 0
  /** Bytes of answers dropped by `swallow`. */
  bytesSwallowed = 0

  private constructor(options: TcpProxyOptions) {
    this.#target = options.target
  }

  /** Starts a proxy on a free port of 127.0.0.1. */
  static async start(options: TcpProxyOptions): Promise<TcpProxy> {
    const proxy = new TcpProxy(options)
    await proxy.#listen()
    return proxy
  }

  get port(): number {
    return this.#port
  }

  /** Connections open now. */
  get connections(): number {
    return this.#links.size
  }

  get mode(): ProxyMode {
    return this.#mode
  }

  /** Changes the mode, for open connections too. Resolves once it is in force. */
  async set(mode: ProxyMode): Promise<void> {
    this.#mode = mode
    if (mode.kind === 'refuse') await this.#stopListening()
    else if (this.#server === null) await this.#listen()
  }

  /** Resets all open connections; new ones are treated by the mode. */
  cut(): void {
    for (const { client, server } of this.#links) {
      client.resetAndDestroy()
      server.destroy()
    }
    this.#links.clear()
  }

  /**
   * Stops all bytes on the connections that are open now. Neither side hears of it, not even when the other
   * one closes, as in a network that forgot the connections. New connections are treated by the mode. Call
   * the returned function to let the held bytes through.
   */
  stall(): () => void {
    const lanes = [...this.#links].flatMap(link => link.lanes)
    for (const lane of lanes) lane.stall()
    return () => {
      for (const lane of lanes) lane.resume()
    }
  }

  /**
   * Resolves once an answer has been swallowed since the call. The server has done what it was asked for by
   * then.
   */
  swallowed(): Promise<void> {
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#mode = { kind: 'refuse' }
    await this.#stopListening()
  }

  async #listen(): Promise<void> {
    const server = createServer({ noDelay: true }, client => this.#link(client))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#port, this.host, resolve)
    })
    const address: AddressInfo | string | null = server.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy has no TCP port')
    this.#port = address.port
    this.#server = server
  }

  async #stopListening(): Promise<void> {
    const server = this.#server
    this.#server = null
    const closed = new Promise<void>(resolve => {
      if (server === null) resolve()
      else server.close(() => resolve())
    })
    this.cut()
    await closed
  }

  #link(client: Socket): void {
    const server = connect({ ...this.#target, noDelay: true })
    const up = new Lane(client, server)
    const down = new Lane(server, client)
    const link = { client, server, lanes: [up, down] }
    this.#links.add(link)
    for (const lane of [up, down]) {
      lane.from.on('error', () => {
        if (!lane.isStalled) lane.to.resetAndDestroy()
      })
      // Bytes that are still to be written reach the other side before it closes.
      lane.from.on('close', () => {
        this.#links.delete(link)
        lane.end()
      })
    }
    client.on('data', data => {
      this.bytesUp += data.length
      up.push(data, this.#delayMs())
    })
    server.on('data', data => {
      if (this.#mode.kind === 'swallow') {
        this.bytesSwallowed += data.length
        for (const wake of this.#waiting.splice(0)) wake()
        return
      }
      this.bytesDown += data.length
      down.push(data, this.#delayMs())
    })
  }

  #delayMs(): number {
    return this.#mode.kind === 'delay' ? this.#mode.delayMs : 0
  }
}

/**
 * One direction of a connection. Pieces keep their order even if the delay becomes shorter while some of them
 * wait.
 */
class Lane {
  readonly from: Socket
  readonly to: Socket
  readonly #held: (Buffer | 'end')[] = []
  #stalled = false

  constructor(from: Socket, to: Socket) {
    this.from = from
    this.to = to
  }

  get isStalled(): boolean {
    return this.#stalled
  }

  stall(): void {
    this.#stalled = true
  }

  resume(): void {
    this.#stalled = false
    for (const piece of this.#held.splice(0)) this.#write(piece)
  }

  push(data: Buffer, delayMs: number): void {
    if (this.#stalled) {
      this.#held.push(data)
      return
    }
    if (delayMs === 0 && this.#held.length === 0) {
      this.#write(data)
      return
    }
    this.#held.push(data)
    // Each timer lets the oldest piece go, whichever piece it was set for.
    setTimeout(() => {
      if (!this.#stalled) this.#write(this.#held.shift())
    }, delayMs)
  }

  end(): void {
    if (this.#held.length === 0 && !this.#stalled) this.#write('end')
    else this.#held.push('end')
  }

  /** Writes, and stops reading from the other side while this one is full. */
  #write(data: Buffer | 'end' | undefined): void {
    if (data === undefined || this.to.destroyed) return
    if (data === 'end') {
      this.to.end()
      return
    }
    if (!this.to.write(data)) {
      this.from.pause()
      this.to.once('drain', () => this.from.resume())
    }
    if (this.#held[0] === 'end') this.#write(this.#held.shift())
  }
}
