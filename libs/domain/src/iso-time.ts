/**
 * Returns an instant as ISO 8601 text. Returns null for null, and for a number that is no date: other
 * programs may write any number into a topic.
 */
export function isoTime(ms: number | null): string | null {
  return ms === null || Number.isNaN(new Date(ms).getTime()) ? null : new Date(ms).toISOString()
}
