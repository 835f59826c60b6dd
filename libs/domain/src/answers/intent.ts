/**
 * With `delivery: at-most-once`, and where processes died, a try is announced before its bytes go out, by a
 * record of an attempt that is an intent: unknown, not final, and without a time for the next try. The
 * attempt that was made has the same number. If none follows, nobody knows whether the request has arrived
 * (PROTOCOL.md §8).
 */
export function isIntent(attempt: {
  readonly final: boolean
  readonly outcome: string
  readonly nextTryAt: number | null
  readonly parts: readonly object[] | null
}): boolean {
  // The last try of a part says that no part follows, though others of its request may go on.
  const { final, outcome, nextTryAt, parts } = attempt
  return !final && outcome === 'unknown' && typeof nextTryAt !== 'number' && !Array.isArray(parts)
}
