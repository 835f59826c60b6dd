/**
 * Returns an instant as text. Returns null for none, and for a number that is no date: topics have foreign
 * writers.
 */
export function isoTime(ms: number | null): string | null {
  return ms === null || Number.isNaN(new Date(ms).getTime()) ? null : new Date(ms).toISOString()
}
