/**
 * Sends one HTTP request, once, and says what came back. Retries, redirects and limits are up to the caller.
 * A network or a server never makes it throw. It rejects only when aborted through `signal`, and then with
 * its reason.
 */
/** How the connections to a server are opened. */
export interface ConnectionOptions {
  /** Texts in PEM, as in node:tls. Absent: the server is checked by the known authorities. */
  readonly tls?: TlsOptions
  /**
   * False: no connection is opened to an address that is not public (private, loopback, link-local, …),
   * however the URL writes it and whatever its name resolves to. Default true.
   */
  readonly allowPrivateNetwork?: boolean
}

export interface TlsOptions {
  /** Certificates of the authorities to trust, in place of the known ones. */
  readonly ca?: string
  /** The certificate that is shown to the server, with those that vouch for it. */
  readonly cert?: string
  readonly key?: string
  /** Certificate and key in one: PKCS #12, in Base64. */
  readonly pfx?: string
  /** Opens `key` or `pfx`. */
  readonly passphrase?: string
  /** False: the server is not checked at all. */
  readonly rejectUnauthorized?: boolean
}

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
  /**
   * Requests share connections only with requests whose options are equal. Give the same object to all
   * requests of a run: it is looked at once. Absent: the sender's own.
   */
  readonly connection?: ConnectionOptions
  readonly signal: AbortSignal
}

/** A certificate, for people. Texts are as it has them, in one line. */
export interface CertificateView {
  readonly subject: string
  readonly issuer: string
  /** The names and addresses that it is for. */
  readonly names: readonly string[]
  /** In ms since 1970. */
  readonly validFrom: number
  readonly validUntil: number
}

/** What both sides of a connection over TLS showed. */
export interface ShownTls {
  /** Such as `TLSv1.3`. */
  readonly protocol: string | null
  readonly server: CertificateView | null
  /** What is shown to a server that asks for it. */
  readonly client: CertificateView | null
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
      /**
       * What the newest connection to that server showed, by this way; absent without TLS. It is the same
       * object until another connection is opened.
       */
      readonly tls?: ShownTls
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
      /**
       * True only with `not-sent`, if `sendBeforeMs` had passed: try again with a new lease. `durationMs` is
       * then the wait for a connection. It is 0 if none was opened meanwhile: this process was too slow.
       */
      readonly late?: boolean
      readonly startedAt: number
      readonly durationMs: number
    }

export interface HttpSender extends AsyncDisposable {
  send(request: OutgoingRequest): Promise<SendResult>
}
