/**
 * True for an intent: the record of an attempt, written before its bytes go out, with `delivery:
 * at-most-once` and after processes died (PROTOCOL.md §8). It is unknown, not final, and has no time for the
 * next attempt. The record of the attempt itself has the same number. If none follows, the request may or may
 * not have arrived.
 */
export function isIntent(attempt: {
  readonly final: boolean
  readonly outcome: string
  readonly nextTryAt: number | null
  readonly parts: readonly object[] | null
}): boolean {
  // The last attempt of a part has an empty list of parts, though other parts of its request may go on.
  const { final, outcome, nextTryAt, parts } = attempt
  return !final && outcome === 'unknown' && typeof nextTryAt !== 'number' && !Array.isArray(parts)
}
