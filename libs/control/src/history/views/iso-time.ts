/** Null, too, for an instant that no date has, as a stranger may write it. */
export function isoTime(ms: number | null): string | null {
  return ms === null || Number.isNaN(new Date(ms).getTime()) ? null : new Date(ms).toISOString()
}
