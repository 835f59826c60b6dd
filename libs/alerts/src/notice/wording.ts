/** Numbers and times as notices write them. */

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const

/** `2 h 5 min`: the two largest units. */
export function lasting(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  const at = UNITS.findIndex(([, unit]) => ms >= unit)
  const [name, unit] = UNITS[at] ?? ['s', 1_000]
  const whole = Math.floor(ms / unit)
  const next = UNITS[at + 1]
  const rest = next === undefined ? 0 : Math.floor((ms - whole * unit) / next[1])
  return rest === 0 || next === undefined ? `${whole} ${name}` : `${whole} ${name} ${rest} ${next[0]}`
}

/** `2026-11-26 19:20 UTC`. */
export function timeText(ms: number): string {
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) return 'an unknown time'
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** `12 %`, `0.4 %`. */
export function percent(part: number, whole: number): string {
  const share = whole === 0 ? 0 : (100 * part) / whole
  return `${share >= 10 || Number.isInteger(share) ? Math.round(share) : share.toPrecision(2)} %`
}
