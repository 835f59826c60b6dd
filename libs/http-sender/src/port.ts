/**
 * Sends one HTTP request, once, and says what came back. Retries, redirects and limits are up to the caller.
 * A network or a server never makes it throw. It rejects only when aborted through `signal`, and then with
 * its reason.
 */
export interface OutgoingRequest {
  readonly method: string
  readonly url: string
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array | null
  readonly timeoutMs: number
  /**
   * The end of its lease: the request may be handed to a socket only until then (`elapsedMs`). If that takes
   * longer, because a connection had to be opened first, the request is not sent and the result says `late`.
   * The connection stays open for the next try. Absent: the request waits for a connection.
   */
  readonly sendBeforeMs?: number
  /** How much of the answer's body is wanted; absent: the sender's own limit, 64 KiB. */
  readonly bodyLimitBytes?: number
  readonly signal: AbortSignal
}

export type SendResult =
  | {
      readonly kind: 'answered'
      readonly status: number
      /** Lower-case names; repeated headers joined by ", ". */
      readonly headers: { readonly [name: string]: string }
      /**
       * The answer's body as text, cut at `bodyLimitBytes`; the rest is drained up to a bound, then the
       * connection is closed.
       */
      readonly body: string
      /** True if the answer went on after `body`, or could not be decompressed to its end. */
      readonly cut?: boolean
      readonly startedAt: number
      readonly durationMs: number
    }
  | {
      readonly kind: 'failed'
      /**
       * `invalid`: it cannot become an HTTP request (URL, method, header), so that no try can send it.
       * `not-sent`: no byte reached a socket (refused, DNS, TLS, guard). `timeout`, `broken`: the request may
       * have been applied.
       */
      readonly reason: 'invalid' | 'not-sent' | 'timeout' | 'broken'
      /** What happened, for a person: `connect ECONNREFUSED 127.0.0.1:9`. */
      readonly error: string
      /** True only with `not-sent`, if `sendBeforeMs` had passed: try again with a new lease. */
      readonly late?: boolean
      readonly startedAt: number
      readonly durationMs: number
    }

export interface HttpSender extends AsyncDisposable {
  send(request: OutgoingRequest): Promise<SendResult>
}
