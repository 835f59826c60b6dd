/** Texts, durations, sizes and counts as users write them, as zod schemas that go both ways. */
import { z } from 'zod'

export const text = z.string({ error: 'text' })
export const filledText = text.min(1, 'text that is not empty')

const TIME_UNITS: { readonly [unit: string]: number } = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
const SIZE_UNITS: { readonly [unit: string]: number } = { B: 1, KB: 1000, MB: 1_000_000 }

/** No wait, window or time-out needs more than a year. */
const MAX_DURATION_MS = 365 * 86_400_000
const MAX_BATCH_BYTES = 100_000_000

const DURATION_WANTED = 'a duration such as 250ms, 30s, 15m, 1h or 7d'
const SIZE_WANTED = 'a size such as 64KB or 1MB'

/** Parses a number with a unit, and rounds it to whole base units. */
function inBaseUnit(text: string, units: { readonly [unit: string]: number }): number {
  const unit = /^[^A-Za-z]*([A-Za-z]+)$/.exec(text)?.[1] ?? ''
  return Math.round(Number.parseFloat(text) * (units[unit] ?? 1))
}

export function durationWithin(maxMs: number, maxText: string) {
  return durationBetween({ ms: 1, text: '1ms' }, { ms: maxMs, text: maxText })
}

/** Writes a duration in the largest unit that gives a whole number: `15m`. */
function durationText(ms: number): string {
  const fitting = Object.entries(TIME_UNITS).filter(([, unit]) => ms % unit === 0)
  const [name, unit] = fitting.at(-1) ?? ['ms', 1]
  return `${ms / unit}${name}`
}

interface Bound {
  readonly ms: number
  readonly text: string
}

export function durationBetween(min: Bound, max: Bound) {
  const short = min.ms === 1 ? 'a duration longer than 0' : `a duration of at least ${min.text}`
  const text = z
    .string()
    .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, { error: DURATION_WANTED, abort: true })
    .refine(value => inBaseUnit(value, TIME_UNITS) >= min.ms, short)
    .refine(value => inBaseUnit(value, TIME_UNITS) <= max.ms, `a duration of at most ${max.text}`)
  return z.codec(text, z.int().min(min.ms).max(max.ms), {
    decode: value => inBaseUnit(value, TIME_UNITS),
    encode: durationText,
  })
}

/** A duration such as `250ms`, `30s`, `15m`, `1h` or `7d`, in milliseconds. */
export const duration = durationWithin(MAX_DURATION_MS, '365d')

const sizeText = z
  .string()
  .regex(/^\d+(\.\d+)?(B|KB|MB)$/, { error: SIZE_WANTED, abort: true })
  .refine(text => inBaseUnit(text, SIZE_UNITS) >= 1, 'a size of at least 1B')
  .refine(text => inBaseUnit(text, SIZE_UNITS) <= MAX_BATCH_BYTES, 'a size of at most 100MB')
/** A size such as `64KB` or `1MB`, in bytes. */
export const size = z.codec(sizeText, z.int().min(1).max(MAX_BATCH_BYTES), {
  decode: text => inBaseUnit(text, SIZE_UNITS),
  encode: bytes => `${bytes}B`,
})

export function count(max: number) {
  const wanted = `a whole number from 1 to ${max}`
  return z.int({ error: wanted }).min(1, wanted).max(max, wanted)
}
