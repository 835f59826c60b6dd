/**
 * True for an intent: a record of an attempt that delivery writes before it sends a byte, with `delivery:
 * at-most-once` and after processes died (PROTOCOL.md §8). An intent is unknown, not final, and has no time
 * for the next attempt. The record with the outcome of the attempt has the same number. If that record is
 * missing, the request may or may not have arrived.
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
