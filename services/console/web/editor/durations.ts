/** Durations as resources have them, such as `250ms`, `30s` and `1h`. */
const UNITS: { readonly [unit: string]: number } = {
  ...{ ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 },
}

/** Undefined for any other text. */
export function durationMsIn(text: string): number | undefined {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text) ?? []
  const factor = UNITS[unit]
  return amount === undefined || factor === undefined ? undefined : Number(amount) * factor
}
