/**
 * One request and its answer on their way through undici. States: `waiting` (for a connection) → `sent` (its
 * bytes were handed to a socket) → `answered` (the head of the answer is there) → `settled`; from each of
 * them straight to `settled`. What an error means depends on the state alone. While `waiting`, nothing can
 * have been applied. Afterwards, anything may have been.
 */
import type { Dispatcher, Pool } from 'undici'
import type { ByteShare } from '@sluice/flow/byte-budget'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import type { OutgoingRequest, SendResult, ShownTls } from '../port.ts'
import { isPacked, plainText, unpackedText } from './answer-body.ts'
import { certificateRefusal, codeOf, describeError, isInvalidRequest } from './describe-error.ts'

/** Room in memory for one answer. It is asked for when the object is made, and given back by `leave`. */
class AnswerRoom {
  readonly #share: ByteShare
  readonly #bytes: number
  readonly #leaving = new AbortController()
  #state: 'waiting' | 'there' | 'left' = 'waiting'
  /** True once there is room, false if `leave` was called before. Never rejects. */
  readonly there: Promise<boolean>

  constructor(share: ByteShare, bytes: number) {
    this.#share = share
    this.#bytes = bytes
    this.there = share.take(bytes, { signal: this.#leaving.signal }).then(
      () => this.#arrived(),
      () => false,
    )
  }

  get isThere(): boolean {
    return this.#state === 'there'
  }

  leave(): void {
    if (this.#state === 'there') this.#share.give(this.#bytes)
    this.#state = 'left'
    this.#leaving.abort()
  }

  #arrived(): boolean {
    if (this.#state === 'left') {
      this.#share.give(this.#bytes)
      return false
    }
    this.#state = 'there'
    return true
  }
}

export interface ExchangeSurroundings {
  readonly bodyLimitBytes: number
  readonly drainLimitBytes: number
  /** The budget that is asked for room for long answers. */
  readonly answers: ByteShare | null
  /** True for an error that came from opening a connection. */
  readonly cameFromConnecting: (error: object) => boolean
  /** Called once, when the exchange does not need its signal any more. */
  readonly release: (signal: AbortSignal, exchange: Exchange) => void
}

interface ExchangeEnd {
  readonly resolve: (result: SendResult | Promise<SendResult>) => void
  readonly reject: (reason: unknown) => void
}

/** Where a request goes. */
export interface Way {
  readonly pool: Pool
  /** How many connections were opened so far. */
  readonly opened: number
  /** What the newest of them showed; null without TLS. */
  readonly tls: ShownTls | null
}

type FailureReason = Extract<SendResult, { kind: 'failed' }>['reason']
type DispatchOptions = Parameters<Pool['dispatch']>[0]
type Headers = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2]

/**
 * How often a request goes to another connection because the idle one turned out to be dead. No byte of the
 * request has left by then.
 */
const MAX_FRESH_STARTS = 2
/** The longest delay that a timer of Node can hold. */
const MAX_TIMER_MS = 2 ** 31 - 1
/** How much of an answer is kept before room is asked for. */
const FREE_BYTES = 8 * 1024
const DEAD_CONNECTION = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'UND_ERR_SOCKET'])

export class Exchange implements Dispatcher.DispatchHandler {
  #state: 'waiting' | 'sent' | 'answered' | 'settled' = 'waiting'
  readonly #request: OutgoingRequest
  readonly #around: ExchangeSurroundings
  readonly #end: ExchangeEnd
  readonly #startedAt = Date.now()
  readonly #startedMs = performance.now()
  #timer: NodeJS.Timeout | undefined
  #way: Way | undefined
  #openedBefore = 0
  #options: DispatchOptions | undefined
  #freshStarts = 0
  #controller: Dispatcher.DispatchController | undefined
  #leaveQueue: ((reason: unknown) => void) | undefined

  #status = 0
  #headers: { readonly [name: string]: string } = {}
  #chunks: Buffer[] = []
  #keptBytes = 0
  #drainedBytes = 0
  #room: AnswerRoom | null = null

  constructor(request: OutgoingRequest, around: ExchangeSurroundings, end: ExchangeEnd) {
    this.#request = request
    this.#around = around
    this.#end = end
  }

  /** Hands the request to the pool. The deadline runs from here on, through connecting, head and body. */
  begin(way: Way, options: DispatchOptions): void {
    this.#way = way
    this.#openedBefore = way.opened
    this.#options = options
    if (elapsedMs() > (this.#request.sendBeforeMs ?? Infinity)) {
      this.#isLate('the lease had ended before')
      return
    }
    this.#timer = setTimeout(expire, Math.min(this.#request.timeoutMs, MAX_TIMER_MS), this)
    way.pool.dispatch(options, this)
  }

  /** For a request that cannot even be tried. */
  refuse(reason: 'invalid' | 'not-sent', error: string): void {
    this.#fail(reason, error)
  }

  abort(reason: unknown): void {
    if (this.#state === 'settled') return
    this.#settled()
    this.#end.reject(reason)
    this.#cut(reason)
  }

  expire(): void {
    const { timeoutMs } = this.#request
    if (this.#state === 'waiting') this.#fail('not-sent', `no connection within ${timeoutMs} ms`)
    else if (this.#isKept()) this.#answer()
    else if (this.#state === 'sent') this.#fail('timeout', `no answer within ${timeoutMs} ms`)
    else if (this.#state === 'answered') {
      this.#fail('timeout', `the answer (status ${this.#status}) did not end within ${timeoutMs} ms`)
    }
    this.#cut(new Error('time-out'))
  }

  /** While the request is queued, undici gives a function here that takes it out of the queue. */
  queued(leave: (reason: unknown) => void): void {
    if (this.#state === 'settled') leave(new Error('settled'))
    else this.#leaveQueue = leave
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#leaveQueue = undefined
    const { sendBeforeMs = Infinity } = this.#request
    if (this.#state === 'waiting' && elapsedMs() > sendBeforeMs) {
      this.#isLate('no connection before the lease ended')
    }
    // An error thrown here, before a byte is written, takes the request out and leaves the connection to
    // others.
    if (this.#state === 'settled') throw new Error('settled')
    this.#state = 'sent'
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    // Interim answers come before the real one.
    if (status < 200 || this.#state === 'settled') return
    this.#state = 'answered'
    this.#status = status
    this.#headers = flatHeaders(headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state === 'settled') return
    const room = this.#bodyLimitBytes() - this.#keptBytes
    const kept = chunk.length <= room ? chunk : chunk.subarray(0, room)
    if (kept.length > 0) this.#chunks.push(kept)
    this.#keptBytes += kept.length
    this.#drainedBytes += chunk.length - kept.length
    if (this.#keptBytes > FREE_BYTES && this.#room === null) this.#waitForRoom(controller)
    if (this.#drainedBytes <= this.#around.drainLimitBytes) return
    this.#answer()
    this.#cut(new Error('the answer is longer than what is read of an answer'))
  }

  onResponseEnd(): void {
    if (this.#state !== 'settled') this.#answer()
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#state === 'settled') return
    if (this.#state === 'waiting') {
      if (this.#mayStartAfresh(error)) this.#startAfresh()
      else this.#fail(isInvalidRequest(error) ? 'invalid' : 'not-sent', describeError(error))
    } else if (this.#isKept()) this.#answer()
    else this.#fail(certificateRefusal(error) === null ? 'broken' : 'not-sent', describeError(error))
  }

  /** True once the part of the answer that is kept is complete, so that its end does not matter any more. */
  #isKept(): boolean {
    return this.#state === 'answered' && this.#drainedBytes > 0
  }

  #mayStartAfresh(error: Error): boolean {
    return (
      this.#freshStarts < MAX_FRESH_STARTS &&
      DEAD_CONNECTION.has(codeOf(error) ?? '') &&
      !this.#around.cameFromConnecting(error)
    )
  }

  #startAfresh(): void {
    this.#freshStarts += 1
    const way = this.#way
    const options = this.#options
    if (way === undefined || options === undefined) return
    // undici calls from inside its own bookkeeping, which has to end first.
    queueMicrotask(() => {
      if (this.#state === 'waiting') way.pool.dispatch(options, this)
    })
  }

  /** Nothing more is read from the server until there is room for the part of the answer that is kept. */
  #waitForRoom(controller: Dispatcher.DispatchController): void {
    const { answers } = this.#around
    if (answers === null) return
    const room = new AnswerRoom(answers, this.#bodyLimitBytes())
    this.#room = room
    if (room.isThere) return
    controller.pause()
    void room.there.then(isThere => {
      if (isThere && this.#state === 'answered') controller.resume()
    })
  }

  #answer(): void {
    const room = this.#room
    this.#room = null
    this.#settled()
    const status = this.#status
    const headers = this.#headers
    const body = { chunks: this.#chunks, cut: this.#drainedBytes > 0 }
    this.#chunks = []
    const tls = this.#way?.tls ?? null
    const timing = { ...this.#timing(), ...(tls === null ? {} : { tls }) }
    if (!isPacked(headers)) {
      const text = plainText(body, headers)
      room?.leave()
      this.#end.resolve({ kind: 'answered', status, headers, ...text, ...timing })
      return
    }
    const { answers } = this.#around
    const limitBytes = this.#bodyLimitBytes()
    const wanted = room ?? (answers === null ? null : new AnswerRoom(answers, limitBytes))
    const unpacked = async (): Promise<SendResult> => {
      // A small answer may unpack to a large one.
      if (wanted?.isThere === false) await wanted.there
      const text = await unpackedText(body, headers, limitBytes)
      wanted?.leave()
      return { kind: 'answered', status, headers, ...text, ...timing }
    }
    this.#end.resolve(unpacked())
  }

  #bodyLimitBytes(): number {
    return this.#request.bodyLimitBytes ?? this.#around.bodyLimitBytes
  }

  #fail(reason: FailureReason, error: string): void {
    this.#settled()
    this.#end.resolve({ kind: 'failed', reason, error, ...this.#timing() })
  }

  /** Also an idle connection gets a request only in a later turn of the event loop, which may be long. */
  #isLate(error: string): void {
    this.#settled()
    const timing = this.#timing()
    const hasOpened = (this.#way?.opened ?? 0) > this.#openedBefore
    const durationMs = hasOpened ? timing.durationMs : 0
    this.#end.resolve({ kind: 'failed', reason: 'not-sent', error, late: true, ...timing, durationMs })
  }

  #timing(): { readonly startedAt: number; readonly durationMs: number } {
    const durationMs = Math.round((performance.now() - this.#startedMs) * 1000) / 1000
    return { startedAt: this.#startedAt, durationMs }
  }

  #settled(): void {
    this.#state = 'settled'
    this.#room?.leave()
    this.#room = null
    clearTimeout(this.#timer)
    this.#around.release(this.#request.signal, this)
  }

  /**
   * Takes the request out of the queue, or closes its connection: no caller waits for the answer any more.
   */
  #cut(reason: unknown): void {
    this.#leaveQueue?.(reason)
    this.#controller?.abort(reason instanceof Error ? reason : new Error(String(reason)))
  }
}

function expire(exchange: Exchange): void {
  exchange.expire()
}

/** Repeated headers joined by ", ". undici has already made the names lower case. */
function flatHeaders(headers: Headers): { readonly [name: string]: string } {
  const flat: { [name: string]: string } = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return flat
}
