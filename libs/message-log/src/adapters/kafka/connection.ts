import { messageOf } from '@sluice/contracts/errors'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { ConnectionLost, fromKafkajs } from './errors.ts'
import {
  apiVersionsCall,
  rawConnection,
  requestBuilder,
  sendOwn,
  type ApiName,
  type ConnectionSettings,
  type OwnRequest,
  type RawConnection,
  type RequestBuilder,
  type SocketFactory,
} from './internals.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

const KEEP_ALIVE_MS = 60_000

/**
 * Opens sockets to the addresses that `route` gives for advertised addresses. `guarded` makes a socket that
 * refuses to connect to private networks.
 */
export function socketFactory(
  route: (advertised: Address) => Address,
  guarded?: () => Socket,
): SocketFactory {
  return ({ host, port, ssl, onConnect }) => {
    const place = route({ host, port })
    const below = guarded?.().connect(place.port, place.host)
    const named = isIP(host) ? {} : { servername: host }
    const socket: Socket =
      ssl !== null
        ? connectTls(
            { ...named, ...ssl, ...(below === undefined ? place : { host, socket: below }) },
            onConnect,
          )
        : (below?.once('connect', onConnect) ?? connectPlain(place, onConnect))
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    // Requests are small, and the callers wait for the answers. Waiting for more bytes would only delay them.
    socket.setNoDelay(true)
    return socket
  }
}

/**
 * One connection to one broker. States: opening → open → closed. A closed connection stays closed, and its
 * owner opens another. The broker answers in order, one request at a time. So requests that may wait long
 * (fetches, joins) need a connection of their own.
 */
export class KafkaConnection {
  readonly #raw: RawConnection
  readonly #builder: RequestBuilder
  readonly #authenticated: boolean
  readonly #loginHint: string
  #underWay = 0
  #hasAnswered = false
  #retired = false
  #closed = false

  private constructor(raw: RawConnection, builder: RequestBuilder, settings: ConnectionSettings) {
    this.#raw = raw
    this.#builder = builder
    this.#authenticated = settings.sasl !== null
    this.#loginHint = settings.loginHint
  }

  /**
   * Connects and authenticates. Rejects with ConnectionLost, or with a ProtocolError if the broker refuses.
   */
  static async open(address: Address, settings: ConnectionSettings): Promise<KafkaConnection> {
    const raw = rawConnection(address.host, address.port, settings)
    try {
      await raw.connect()
      // A port that accepts connections but never answers must not block the caller for ever.
      const { apiVersions } = await within(settings.connectTimeoutMs, raw.send(apiVersionsCall()))
      const versions = Object.fromEntries(apiVersions.map(({ apiKey, ...range }) => [apiKey, range]))
      raw.setVersions(versions)
      raw.setSupportAuthenticationProtocol(true)
      if (settings.sasl !== null) await within(settings.connectTimeoutMs, raw.authenticate())
      return new KafkaConnection(raw, requestBuilder(versions), settings)
    } catch (error) {
      discard(raw, new ConnectionLost('closed'))
      throw asConnectionError(error)
    }
  }

  /** False once the connection is closed or retired, and shortly before its credentials expire. */
  get usable(): boolean {
    if (this.#closed || this.#retired || !this.#raw.isConnected()) return false
    return !this.#authenticated || this.#raw.isAuthenticated()
  }

  /** Sends a request of kafkajs and resolves with its answer. */
  call<T>(name: ApiName, args: object, timeoutMs: number): Promise<T> {
    return this.#within(timeoutMs, () => this.#raw.send(this.#builder.build<T>(name, args)))
  }

  /** Sends a request of our own and resolves with its answer. */
  send<T>(request: OwnRequest<T>, timeoutMs: number): Promise<T> {
    return this.#within(timeoutMs, () =>
      sendOwn(this.#raw, request).catch((cause: unknown) => {
        if (!(cause instanceof RangeError)) throw cause
        throw new ConnectionLost('the broker has sent an incomplete answer', { cause })
      }),
    )
  }

  /**
   * The broker answers the requests of one connection in order. So if an answer does not come in time, this
   * closes the connection: all later answers on it would be late too.
   */
  async #within<T>(timeoutMs: number, answer: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new ConnectionLost('the connection is closed')
    const timer = setTimeout(() => this.close(`no answer within ${timeoutMs} ms`), timeoutMs)
    this.#underWay += 1
    try {
      const answered = await answer()
      this.#hasAnswered = true
      return answered
    } catch (error) {
      const known = fromKafkajs(error)
      // A broker that requires a login closes a connection at its first request if no login came before.
      if (!(known instanceof ConnectionLost) || this.#authenticated || this.#hasAnswered) throw known
      throw new ConnectionLost(`${known.message}; if this Kafka wants a login, ${this.#loginHint}`, {
        cause: error,
      })
    } finally {
      clearTimeout(timer)
      this.#underWay -= 1
      if (this.#retired && this.#underWay === 0) this.close()
    }
  }

  /**
   * Closes once the requests under way are answered. `usable` is false from now on, so its owner sends no
   * more.
   */
  retire(): void {
    this.#retired = true
    if (this.#underWay === 0) this.close()
  }

  /** Closes at once. Requests under way reject with ConnectionLost. */
  close(reason = 'the connection was closed'): void {
    if (this.#closed) return
    this.#closed = true
    discard(this.#raw, new ConnectionLost(reason))
  }
}

function discard(raw: RawConnection, reason: Error): void {
  raw.requestQueue.rejectAll(reason)
  raw.requestQueue.destroy()
  raw.socket?.destroy()
}

function asConnectionError(error: unknown): unknown {
  const known = fromKafkajs(error)
  if (known !== error || known instanceof ConnectionLost) return known
  return new ConnectionLost(messageOf(error), { cause: error })
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  const timeout = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => timeout.reject(new ConnectionLost(`no answer within ${timeoutMs} ms`)),
    timeoutMs,
  )
  try {
    return await Promise.race([work, timeout.promise])
  } finally {
    clearTimeout(timer)
  }
}
