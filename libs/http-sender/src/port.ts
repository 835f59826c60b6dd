/**
 * Sends one HTTP request, once, and returns the answer or the failure. Retries, redirects and limits are up
 * to the caller. A failure of the network or the server is a result, not an error. This rejects only when
 * `signal` aborts, with the signal's reason.
 */

/** The options of connections to a server. */
export interface ConnectionOptions {
  /** Texts in PEM, as in node:tls. If absent, the known authorities check the server. */
  readonly tls?: TlsOptions
  /**
   * If false, no connection is opened to an address that is not public (private, loopback, link-local, …), in
   * any spelling, and whatever a name resolves to. Default true.
   */
  readonly allowPrivateNetwork?: boolean
}

export interface TlsOptions {
  /** Certificates of the authorities to trust, in place of the known ones. */
  readonly ca?: string
  /** The client certificate, with its chain. */
  readonly cert?: string
  readonly key?: string
  /** Certificate and key in one: PKCS #12, in Base64. */
  readonly pfx?: string
  /** The pass phrase of `key` or `pfx`. */
  readonly passphrase?: string
  /** If false, the certificate of the server is not checked. */
  readonly rejectUnauthorized?: boolean
}

export interface OutgoingRequest {
  readonly method: string
  readonly url: string
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array | null
  readonly timeoutMs: number
  /**
   * The end of the request's lease, by `elapsedMs`. A request that has not reached a socket by then, because
   * a connection had to be opened, is not sent, and the result says `late`. The connection stays open for the
   * next request. If absent, the request waits for a connection.
   */
  readonly sendBeforeMs?: number
  /** The bytes of the answer's body to keep. Default: the sender's limit, 64 KiB. */
  readonly bodyLimitBytes?: number
  /**
   * Only requests with equal options share connections. Pass the same object with all requests of a run,
   * since each object is compared once. Default: the options of the sender.
   */
  readonly connection?: ConnectionOptions
  readonly signal: AbortSignal
}

/** A certificate, as people see it. Its texts are in one line. */
export interface CertificateView {
  readonly subject: string
  readonly issuer: string
  /** The names and addresses of its subject. */
  readonly names: readonly string[]
  /** The time in ms since 1970. */
  readonly validFrom: number
  readonly validUntil: number
}

/** The certificates of both sides of a connection over TLS. */
export interface ShownTls {
  /** The protocol, such as `TLSv1.3`. */
  readonly protocol: string | null
  readonly server: CertificateView | null
  /** The client certificate, which a server gets if it asks for it. */
  readonly client: CertificateView | null
}

export type SendResult =
  | {
      readonly kind: 'answered'
      readonly status: number
      /** Headers by their names in lower case. Repeated headers are joined by ", ". */
      readonly headers: { readonly [name: string]: string }
      /**
       * The answer's body as text, up to `bodyLimitBytes`. The rest is read and dropped up to a bound. Beyond
       * that, the connection is closed.
       */
      readonly body: string
      /** True if the answer was longer than `body`, or could not be decompressed completely. */
      readonly cut?: boolean
      /**
       * The certificates of the newest connection to that server; absent without TLS. It is the same object
       * until another connection is opened.
       */
      readonly tls?: ShownTls
      readonly startedAt: number
      readonly durationMs: number
    }
  | {
      readonly kind: 'failed'
      /**
       * - `invalid`: it can never be sent, since it is no HTTP request (URL, method, header).
       * - `not-sent`: no byte reached a socket (refused, DNS, TLS, guard).
       * - `timeout`, `broken`: the request may have been applied.
       */
      readonly reason: 'invalid' | 'not-sent' | 'timeout' | 'broken'
      /** The error for people, such as `connect ECONNREFUSED 127.0.0.1:9`. */
      readonly error: string
      /**
       * True with `not-sent` if `sendBeforeMs` had passed, so that a new lease may help. `durationMs` is then
       * the wait for a connection. It is 0 if none was opened meanwhile: this process was too slow.
       */
      readonly late?: boolean
      readonly startedAt: number
      readonly durationMs: number
    }

export interface HttpSender extends AsyncDisposable {
  send(request: OutgoingRequest): Promise<SendResult>
}
