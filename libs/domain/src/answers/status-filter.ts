/** A filter for statuses: one such as `422`, or a class such as `4xx`. */
export interface StatusRange {
  readonly from: number
  /** Inclusive. */
  readonly to: number
}

/** Returns the range of a filter: one status, or a class by its first digit alone, as 5 for 5xx. */
export function statusesOf(filter: number): StatusRange {
  return filter < 10 ? { from: filter * 100, to: filter * 100 + 99 } : { from: filter, to: filter }
}

/** True if a status passes a filter such as 422 or 5. */
export function isAmong(filter: number, status: number | null): boolean {
  const { from, to } = statusesOf(filter)
  return status !== null && status >= from && status <= to
}

/** Reads a text such as `422` or `4xx`. Returns null for any other. */
export function statusRange(text: string): StatusRange | null {
  if (/^[1-5]\d\d$/.test(text)) return { from: Number(text), to: Number(text) }
  if (!/^[1-5]xx$/.test(text)) return null
  const from = Number(text.slice(0, 1)) * 100
  return { from, to: from + 99 }
}
