/** Statuses that people ask for: one such as `422`, or a class such as `4xx`. */
export interface StatusRange {
  readonly from: number
  /** Inclusive. */
  readonly to: number
}

/** Null for a text that is neither a status nor a class. */
export function statusRange(text: string): StatusRange | null {
  if (/^[1-5]\d\d$/.test(text)) return { from: Number(text), to: Number(text) }
  if (!/^[1-5]xx$/.test(text)) return null
  const from = Number(text.slice(0, 1)) * 100
  return { from, to: from + 99 }
}
