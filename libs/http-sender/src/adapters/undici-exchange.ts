/**
 * One request and its answer on their way through undici.
 *
 * States: `waiting` (for a connection) → `sent` (its bytes were handed to a socket) → `answered` (the head of
 * the answer has come) → `settled`. Each of them may go straight to `settled`. The meaning of an error
 * depends only on the state: while `waiting`, the request cannot have been applied. Afterwards it may have
 * been.
 */
import type { Dispatcher, Pool } from 'undici'
import type { ByteShare } from '@sluice/flow/byte-budget'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import type { OutgoingRequest, SendResult, ShownTls } from '../port.ts'
import { isPacked, plainText, unpackedText } from './answer-body.ts'
import { certificateRefusal, codeOf, describeError, isInvalidRequest } from './describe-error.ts'

/** Memory for one answer. The constructor asks for it, and `release` gives it back. */
class AnswerMemory {
  readonly #share: ByteShare
  readonly #bytes: number
  readonly #released = new AbortController()
  #state: 'waiting' | 'granted' | 'released' = 'waiting'
  /**
   * Resolves with true once there is memory, and with false if `release` was called before. Never rejects.
   */
  readonly granted: Promise<boolean>

  constructor(share: ByteShare, bytes: number) {
    this.#share = share
    this.#bytes = bytes
    this.granted = share.take(bytes, { signal: this.#released.signal }).then(
      () => this.#taken(),
      () => false,
    )
  }

  get isGranted(): boolean {
    return this.#state === 'granted'
  }

  release(): void {
    if (this.#state === 'granted') this.#share.give(this.#bytes)
    this.#state = 'released'
    this.#released.abort()
  }

  #taken(): boolean {
    if (this.#state === 'released') {
      this.#share.give(this.#bytes)
      return false
    }
    this.#state = 'granted'
    return true
  }
}

export interface ExchangeSurroundings {
  readonly bodyLimitBytes: number
  readonly drainLimitBytes: number
  /** The budget for the memory of long answers; null if it is not bounded. */
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

/** The pool of connections that a request goes to. */
export interface Way {
  readonly pool: Pool
  /** The number of connections opened so far. */
  readonly opened: number
  /** The certificates of the newest connection; null without TLS. */
  readonly tls: ShownTls | null
}

type FailureReason = Extract<SendResult, { kind: 'failed' }>['reason']
type DispatchOptions = Parameters<Pool['dispatch']>[0]
type Headers = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2]

/**
 * If an idle connection turns out to be dead before any byte is sent, the request goes to another connection,
 * at most this often.
 */
const MAX_FRESH_STARTS = 2
/** The longest delay that a timer of Node can hold. */
const MAX_TIMER_MS = 2 ** 31 - 1
/** This much of an answer needs no memory of the budget. */
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
  #removeFromQueue: ((reason: unknown) => void) | undefined

  #status = 0
  #headers: { readonly [name: string]: string } = {}
  #chunks: Buffer[] = []
  #keptBytes = 0
  #drainedBytes = 0
  #memory: AnswerMemory | null = null

  constructor(request: OutgoingRequest, around: ExchangeSurroundings, end: ExchangeEnd) {
    this.#request = request
    this.#around = around
    this.#end = end
  }

  /** Hands the request to the pool. The time-out includes connecting, head and body. */
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

  /** Ends a request that cannot even be started. */
  refuse(reason: 'invalid' | 'not-sent', error: string): void {
    this.#fail(reason, error)
  }

  abort(reason: unknown): void {
    if (this.#state === 'settled') return
    this.#settled()
    this.#end.reject(reason)
    this.#disconnect(reason)
  }

  expire(): void {
    const { timeoutMs } = this.#request
    if (this.#state === 'waiting') this.#fail('not-sent', `no connection within ${timeoutMs} ms`)
    else if (this.#isKept()) this.#answer()
    else if (this.#state === 'sent') this.#fail('timeout', `no answer within ${timeoutMs} ms`)
    else if (this.#state === 'answered') {
      this.#fail('timeout', `the answer (status ${this.#status}) did not end within ${timeoutMs} ms`)
    }
    this.#disconnect(new Error('time-out'))
  }

  /** Takes the function of undici that removes the request from the queue. */
  queued(remove: (reason: unknown) => void): void {
    if (this.#state === 'settled') remove(new Error('settled'))
    else this.#removeFromQueue = remove
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#removeFromQueue = undefined
    const { sendBeforeMs = Infinity } = this.#request
    if (this.#state === 'waiting' && elapsedMs() > sendBeforeMs) {
      this.#isLate('no connection before the lease ended')
    }
    // An error that is thrown before a byte is written removes the request, and the connection stays usable.
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
    if (this.#keptBytes > FREE_BYTES && this.#memory === null) this.#waitForMemory(controller)
    if (this.#drainedBytes <= this.#around.drainLimitBytes) return
    this.#answer()
    this.#disconnect(new Error('the answer is longer than what is read of an answer'))
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

  /** True once the kept part of the answer is complete. Then the end of the answer does not matter. */
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
    // undici has to finish its own bookkeeping first.
    queueMicrotask(() => {
      if (this.#state === 'waiting') way.pool.dispatch(options, this)
    })
  }

  /** Stops reading from the server until there is memory for the kept part of the answer. */
  #waitForMemory(controller: Dispatcher.DispatchController): void {
    const { answers } = this.#around
    if (answers === null) return
    const memory = new AnswerMemory(answers, this.#bodyLimitBytes())
    this.#memory = memory
    if (memory.isGranted) return
    controller.pause()
    void memory.granted.then(isGranted => {
      if (isGranted && this.#state === 'answered') controller.resume()
    })
  }

  #answer(): void {
    const memory = this.#memory
    this.#memory = null
    this.#settled()
    const status = this.#status
    const headers = this.#headers
    const body = { chunks: this.#chunks, cut: this.#drainedBytes > 0 }
    this.#chunks = []
    const tls = this.#way?.tls ?? null
    const timing = { ...this.#timing(), ...(tls === null ? {} : { tls }) }
    if (!isPacked(headers)) {
      const text = plainText(body, headers)
      memory?.release()
      this.#end.resolve({ kind: 'answered', status, headers, ...text, ...timing })
      return
    }
    const { answers } = this.#around
    const limitBytes = this.#bodyLimitBytes()
    const wanted = memory ?? (answers === null ? null : new AnswerMemory(answers, limitBytes))
    const unpacked = async (): Promise<SendResult> => {
      // A small answer may decompress to a large one.
      if (wanted?.isGranted === false) await wanted.granted
      const text = await unpackedText(body, headers, limitBytes)
      wanted?.release()
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

  /**
   * Ends a late request. Even on an idle connection it may be late, since undici sends it in a later turn.
   */
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
    this.#memory?.release()
    this.#memory = null
    clearTimeout(this.#timer)
    this.#around.release(this.#request.signal, this)
  }

  /** Removes the request from the queue, or closes its connection, since no caller waits for the answer. */
  #disconnect(reason: unknown): void {
    this.#removeFromQueue?.(reason)
    this.#controller?.abort(reason instanceof Error ? reason : new Error(String(reason)))
  }
}

function expire(exchange: Exchange): void {
  exchange.expire()
}

/** Joins repeated headers by ", ". undici has made the names lower case. */
function flatHeaders(headers: Headers): { readonly [name: string]: string } {
  const flat: { [name: string]: string } = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return flat
}
