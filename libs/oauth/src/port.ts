/**
 * Where the processes of one destination share its access token, so that one of them asks for it and all use
 * it. What is kept there is sealed by the caller. Times are durations by the store's own clock, so that the
 * clocks of processes need not agree. A store may forget: then a token is asked for again. Errors:
 * `unreachable` (retryable), `config`, `aborted`.
 */

export interface KeptToken {
  readonly sealed: string
  /** How long it is kept still. */
  readonly leftMs: number
}

/** Leave to ask for a token. Only one process has it at a time, until it ends or `lifeMs` are over. */
export interface Leave {
  readonly name: string
  /** Tells this leave from every other one of that name. */
  readonly id: string
}

export type Begun =
  | { readonly kind: 'leave'; readonly leave: Leave }
  /**
   * Another process asks, or nobody is to ask yet, for so long at most. `why` is what went wrong at the last
   * try; null while a try is under way.
   */
  | { readonly kind: 'taken'; readonly leftMs: number; readonly why: string | null }

export interface TokenStore extends AsyncDisposable {
  /** The token of that name; null if there is none. */
  read(name: string): Promise<KeptToken | null>
  /** Asks for leave, which lasts `lifeMs` unless it is ended. */
  begin(name: string, lifeMs: number): Promise<Begun>
  /**
   * Keeps a token for so long, in place of the one before, and ends the leave. False if the leave was over: a
   * successor may have kept another token, so nothing was kept.
   */
  keep(leave: Leave, sealed: string, lifeMs: number): Promise<boolean>
  /** Ends a leave without a token. Nobody has leave for `pauseMs`, and is told why. */
  end(leave: Leave, of: { readonly pauseMs: number; readonly why: string }): Promise<void>
}
