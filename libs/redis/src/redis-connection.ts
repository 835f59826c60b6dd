/**
 * A connection to Redis that looks after itself: to one server, to the master that sentinels name, or to a
 * cluster. Sluice runs only scripts there, each one atomic step on the keys of one slot.
 *
 * A command that is not answered within its time-out rejects. The server may still carry it out, so every
 * script may run twice, and late. A connection that has not answered for ten seconds is replaced. Otherwise a
 * flow that the network drops silently would stay open for a quarter of an hour. An idle connection is probed
 * now and then, so that its trouble is known before a caller needs it.
 */
import { createHash } from 'node:crypto'
import { Cluster, Redis, ReplyError, type RedisOptions } from 'ioredis'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import { parseRedisAddress, type RedisAddress } from './redis-address.ts'
import { refusalOf } from './redis-refusals.ts'

export interface RedisConnectionOptions {
  /** See redis-address.ts for its forms. */
  readonly url: string
  /** PEM text of the authority that signed the servers' certificates. */
  readonly ca?: string
  /** A command that takes longer, reconnecting included, is `unreachable`. Default 3 s. */
  readonly commandTimeoutMs?: number
  /** A connection that does not answer for this long is replaced. Default 10 s. */
  readonly silenceMs?: number
  /**
   * Called once with each new trouble, and with null once all is well again.
   */
  readonly onTrouble?: (trouble: SluiceError | null) => void
}

export interface RedisScript {
  readonly text: string
  readonly sha: string
}

export const redisScript = (text: string): RedisScript => ({
  text,
  sha: createHash('sha1').update(text).digest('hex'),
})

const COMMAND_TIMEOUT_MS = 3_000
const SILENCE_MS = 10_000
/** After this time without an answer, an idle connection is probed. */
const IDLE_MS = 2_000
/** Checks what our scripts need: Redis is reached, runs a script, and writes. */
const PROBE = redisScript(`return redis.call('SET', KEYS[1], '', 'PX', 1000)`)
const MAX_RECONNECT_DELAY_MS = 1_000
const QUIT_TIMEOUT_MS = 1_000
/**
 * For this long a refusal explains why there is no connection. It is longer than the pause before
 * reconnecting.
 */
const REFUSAL_COUNTS_MS = 2 * MAX_RECONNECT_DELAY_MS
/** The client's own time-outs come this much later than ours, which say more. */
const LATER_MS = 100

/** Opens a connection, which comes up by itself. Throws `config` for a wrong URL. */
export function connectRedis(options: RedisConnectionOptions): RedisConnection {
  return new RedisConnection(options)
}

export class RedisConnection implements AsyncDisposable {
  readonly #address: RedisAddress
  readonly #client: Redis | Cluster
  readonly #commandTimeoutMs: number
  readonly #onTrouble: (trouble: SluiceError | null) => void
  readonly #idleCheck: NodeJS.Timeout
  /** The last error of the connection itself since the last answer. */
  #connectionError: unknown = null
  /** The time at which Redis last refused a connection with a reason. */
  #refusedMs = Number.NEGATIVE_INFINITY
  /** True once Redis has carried out a command of ours, so that the settings were right once. */
  #hasWorked = false
  #answeredMs = Number.NEGATIVE_INFINITY
  /** The key of the last command, beside which a probe may write; null before the first command. */
  #usedKey: string | null = null
  #trouble: SluiceError | null = null
  #troubleKind: string | null = null
  #closed = false

  constructor(options: RedisConnectionOptions) {
    this.#address = parseRedisAddress(options.url)
    this.#commandTimeoutMs = options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS
    this.#onTrouble = options.onTrouble ?? (() => {})
    this.#client = open(this.#address, options)
    this.#client.on('error', (error: unknown) => this.#broken(error))
    this.#client.on('node error', (error: unknown) => this.#broken(error))
    this.#idleCheck = setInterval(() => void this.#checkIdle(), IDLE_MS)
    this.#idleCheck.unref()
  }

  /** Host, port and database, without users and passwords. */
  get address(): string {
    return this.#address.shown
  }

  /**
   * The present trouble, according to the last answer or its absence; null while all is well. Its message
   * names the address.
   */
  get trouble(): SluiceError | null {
    return this.#trouble
  }

  /**
   * Runs a script on the keys that begin with `key`. Rejects with `unreachable` (retryable) if Redis does not
   * answer or refuses for now. If the settings are wrong, it rejects with `config` (retryable once they have
   * been right). If the script is wrong, it rejects with `internal`. May be called concurrently. Scripts on
   * the same connection run in the order of the calls.
   */
  async run(script: RedisScript, key: string, args: readonly (string | number)[]): Promise<unknown> {
    this.#usedKey = key
    try {
      const reply = await this.#inTime(this.#evaluate(script, key, args))
      this.#hasWorked = true
      this.#answeredMs = performance.now()
      this.#connectionError = null
      this.#setTrouble(null, null)
      return reply
    } catch (error) {
      throw this.#failed(error)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#idleCheck)
    const timeUp = new Promise<void>(resolve => setTimeout(resolve, QUIT_TIMEOUT_MS).unref())
    await Promise.race([this.#client.quit().catch(() => undefined), timeUp])
    this.#client.disconnect()
  }

  async #evaluate(
    { sha, text }: RedisScript,
    key: string,
    args: readonly (string | number)[],
  ): Promise<unknown> {
    try {
      return await this.#client.evalsha(sha, 1, key, ...args)
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    }
    return await this.#client.eval(text, 1, key, ...args)
  }

  /** Limits the wait, since a cluster client queues commands without a limit while it looks for its nodes. */
  #inTime<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const ms = this.#commandTimeoutMs
      const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
      answer.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }

  async #checkIdle(): Promise<void> {
    // A probe uses fewer commands than our scripts, so it does not notice a right that they lack.
    if (this.#usedKey === null || this.#trouble?.code === 'config') return
    if (performance.now() - this.#answeredMs < IDLE_MS) return
    await this.run(PROBE, this.#usedKey.replace(/(:alive)?$/, ':alive'), []).catch(() => undefined)
  }

  #broken(error: unknown): void {
    if (this.#closed) return
    // A server that refuses a connection also closes it. The refusal says more than the end of the
    // connection.
    const nowMs = performance.now()
    const isRefusal = answerIn(error) !== null
    if (!isRefusal && nowMs - this.#refusedMs < REFUSAL_COUNTS_MS) return
    if (isRefusal) this.#refusedMs = nowMs
    this.#connectionError = error
    // The client would go on with database 0. No database is better than the wrong one.
    if (isRefusedSelect(error) && this.#client instanceof Redis) this.#client.disconnect(true)
  }

  #failed(error: unknown): SluiceError {
    const { kind, trouble } = this.#translated(error)
    this.#setTrouble(trouble, kind)
    return trouble
  }

  /** Reports troubles of one kind once. */
  #setTrouble(trouble: SluiceError | null, kind: string | null): void {
    const isNews = kind !== this.#troubleKind
    this.#trouble = trouble
    this.#troubleKind = kind
    if (isNews && !this.#closed) this.#onTrouble(trouble)
  }

  #translated(error: unknown): { readonly kind: string; readonly trouble: SluiceError } {
    const where = `Redis at ${this.address}`
    const answer = answerIn(error) ?? answerIn(this.#connectionError)
    if (answer === null) {
      const known = this.#connectionError === null ? '' : ` (${messageOf(this.#connectionError)})`
      const message = `${where} does not answer: ${messageOf(error)}${known}`
      const trouble = new SluiceError('unreachable', message, { cause: error, retryable: true })
      return { kind: 'silent', trouble }
    }
    const { kind, meaning } = refusalOf(answer)
    const message = `${where} ${meaning}: ${answer}`
    const code = ({ transient: 'unreachable', settings: 'config', script: 'internal' } as const)[kind]
    // Settings that were right at the start may be corrected again. A process at work waits for that.
    const retryable = kind === 'transient' || (kind === 'settings' && this.#hasWorked)
    return { kind: meaning, trouble: new SluiceError(code, message, { cause: error, retryable }) }
  }
}

/** Returns the answer of Redis that caused an error; null if none did. */
function answerIn(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  if (error instanceof ReplyError) return messageOf(error)
  if ('lastNodeError' in error) return answerIn(error.lastNodeError)
  // The error with which the cluster client gives up has the last answer in its text.
  return /Last error: ReplyError: (.*)/.exec(error.message)?.[1] ?? null
}

function isRefusedSelect(error: unknown): boolean {
  return (
    error instanceof Error &&
    error instanceof ReplyError &&
    /DB index|SELECT is not allowed/i.test(error.message)
  )
}

function open(address: RedisAddress, options: RedisConnectionOptions): Redis | Cluster {
  const timeoutMs = options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS
  const { username, password, family } = address
  const tls = options.ca === undefined ? {} : { ca: options.ca }
  const reconnectDelay = (attempt: number): number => Math.min(attempt * 50, MAX_RECONNECT_DELAY_MS)
  const common = {
    commandTimeout: timeoutMs + LATER_MS,
    connectTimeout: timeoutMs,
    socketTimeout: options.silenceMs ?? SILENCE_MS,
    // Redis may have carried out a script. The caller, not the client, decides whether to send it again.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
    // A server that is still loading says so itself, and not every user has the right to INFO.
    enableReadyCheck: false,
    family,
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(address.tls ? { tls } : {}),
  } satisfies RedisOptions
  // A server that no longer takes writes was the master until now. Reconnecting asks the sentinels again.
  const reconnectOnError = (error: Error): boolean => error.message.startsWith('READONLY')
  switch (address.kind) {
    case 'single':
      return new Redis({
        ...common,
        ...address.node,
        db: address.database,
        retryStrategy: reconnectDelay,
        reconnectOnError,
      })
    case 'sentinel':
      return new Redis({
        ...common,
        sentinels: [...address.sentinels],
        name: address.master,
        db: address.database,
        retryStrategy: reconnectDelay,
        sentinelRetryStrategy: reconnectDelay,
        sentinelCommandTimeout: timeoutMs,
        reconnectOnError,
        ...(address.sentinelUsername === null ? {} : { sentinelUsername: address.sentinelUsername }),
        ...(address.sentinelPassword === null ? {} : { sentinelPassword: address.sentinelPassword }),
        ...(address.tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls } : {}),
      })
    case 'cluster':
      return new Cluster([...address.nodes], {
        clusterRetryStrategy: reconnectDelay,
        slotsRefreshTimeout: timeoutMs,
        enableReadyCheck: false,
        redisOptions: common,
      })
    default:
      return address satisfies never
  }
}
