/**
 * The store in which the processes of one destination share its access token, so that one of them asks for it
 * and all use it. The caller seals what it stores. Times are durations by the store's own clock, so that the
 * clocks of processes need not agree. A store may lose a token, which is asked for again then. Errors:
 * `unreachable` (retryable), `config`, `aborted`.
 */

export interface StoredToken {
  readonly sealed: string
  /** The time for which it is still stored. */
  readonly leftMs: number
}

/** Permission to ask for a token. One process has it at a time, until it ends it or `lifeMs` are over. */
export interface TokenLease {
  readonly name: string
  /** Distinguishes this lease from all others of the name. */
  readonly id: string
}

export type LeaseAnswer =
  | { readonly kind: 'leased'; readonly lease: TokenLease }
  /**
   * Another process asks for a token, or a failure is followed by a pause, for `leftMs` at most. `why` is the
   * last failure; null while a process asks.
   */
  | { readonly kind: 'taken'; readonly leftMs: number; readonly why: string | null }

export interface TokenStore extends AsyncDisposable {
  /** Returns the token of that name; null if there is none. */
  read(name: string): Promise<StoredToken | null>
  /** Asks for the lease, which lasts `lifeMs` unless it is ended. */
  lease(name: string, lifeMs: number): Promise<LeaseAnswer>
  /**
   * Stores a token for `lifeMs`, in place of the one before, and ends the lease. Returns false, and stores
   * nothing, if the lease is over: a successor may have stored another token.
   */
  store(lease: TokenLease, sealed: string, lifeMs: number): Promise<boolean>
  /**
   * Ends a lease without a token. Nobody gets the lease for `pauseMs`. Callers who ask in that time get the
   * reason `why`.
   */
  end(lease: TokenLease, pause: { readonly pauseMs: number; readonly why: string }): Promise<void>
}
