/**
 * Arithmetic and comparison that lose no digit, for the values that no JavaScript number holds: bigints and
 * `Decimal`s (R18). Plain numbers never come here; the filters and operators take them the fast way.
 */
import { Decimal } from '@sluice/contracts/values'
import { TemplateFault } from './template-fault.ts'

/** `units` × 10^−`scale`. */
interface Exact {
  readonly units: bigint
  readonly scale: number
}

/** Numbers in text that are longer are not taken for numbers; results that are longer are refused. */
const MAX_DIGITS = 1_000
const TOO_LARGE = 10n ** BigInt(MAX_DIGITS)

const NUMBER_TEXT = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?\s*$/

/** True for the values that have to be calculated exactly. */
export function isExact(value: unknown): value is bigint | Decimal {
  return typeof value === 'bigint' || value instanceof Decimal
}

/**
 * The exact number that a value stands for, as text would be read in decimal; null for what is no finite
 * number.
 */
function exactOf(value: unknown): Exact | null {
  if (typeof value === 'bigint') return { units: value, scale: 0 }
  if (typeof value !== 'number' && typeof value !== 'string' && !(value instanceof Decimal)) return null
  const text = String(value)
  if (text.length > MAX_DIGITS) return null
  const match = NUMBER_TEXT.exec(text)
  if (match === null) return null
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  if (whole === '' && fraction === '') return null
  const units = BigInt(whole + fraction)
  const scale = fraction.length - Number(exponent)
  const signed = sign === '-' ? -units : units
  return scale >= 0 ? { units: signed, scale } : { units: signed * 10n ** BigInt(-scale), scale: 0 }
}

/**
 * The value of a row that an exact number is: a number while safe, else a bigint; with a fraction, a
 * `Decimal`.
 */
function valueOf({ units, scale }: Exact): number | bigint | Decimal {
  if (scale === 0) {
    const number = Number(units)
    return Number.isSafeInteger(number) ? number : units
  }
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0')
  const sign = units < 0n ? '-' : ''
  return new Decimal(`${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`)
}

function aligned(left: Exact, right: Exact): { left: bigint; right: bigint; scale: number } {
  const scale = Math.max(left.scale, right.scale)
  return {
    left: left.units * 10n ** BigInt(scale - left.scale),
    right: right.units * 10n ** BigInt(scale - right.scale),
    scale,
  }
}

/**
 * Negative, zero or positive, as `left` is less than, equal to or more than `right`; null if either is no
 * finite number.
 */
export function compareExactly(left: unknown, right: unknown): number | null {
  const a = exactOf(left)
  const b = exactOf(right)
  if (a === null || b === null) return null
  const pair = aligned(a, b)
  if (pair.left === pair.right) return 0
  return pair.left < pair.right ? -1 : 1
}

export type ExactOperation = 'plus' | 'minus' | 'times' | 'modulo'

/** The exact result, or null if an operand is no finite number, or for a remainder of zero. */
export function calculateExactly(
  operation: ExactOperation,
  left: unknown,
  right: unknown,
): number | bigint | Decimal | null {
  const a = exactOf(left)
  const b = exactOf(right)
  if (a === null || b === null) return null
  if (operation === 'times') return result({ units: a.units * b.units, scale: a.scale + b.scale })
  const pair = aligned(a, b)
  if (operation === 'modulo') {
    if (pair.right === 0n) return null
    // Liquid's remainder has the sign of the divisor.
    const remainder = ((pair.left % pair.right) + pair.right) % pair.right
    return result({ units: remainder, scale: pair.scale })
  }
  const units = operation === 'plus' ? pair.left + pair.right : pair.left - pair.right
  return result({ units, scale: pair.scale })
}

function result(exact: Exact): number | bigint | Decimal {
  if (exact.scale > MAX_DIGITS || exact.units >= TOO_LARGE || exact.units <= -TOO_LARGE)
    throw new TemplateFault(`the result has more than ${MAX_DIGITS} digits`)
  return valueOf(exact)
}

/** The value without its sign. */
export function absoluteExactly(value: bigint | Decimal): number | bigint | Decimal {
  const exact = exactOf(value)
  if (exact === null) return value
  return valueOf({ units: exact.units < 0n ? -exact.units : exact.units, scale: exact.scale })
}

export type Rounding = 'floor' | 'ceil' | 'round' | 'truncate'

/**
 * Rounded to `places` digits after the point (half away from zero for `round`); the value itself where it is
 * no finite number.
 */
export function roundExactly(
  value: bigint | Decimal | string,
  rounding: Rounding,
  places = 0,
): number | bigint | Decimal | string {
  const exact = exactOf(value)
  if (exact === null) return value
  const kept = Math.max(0, Math.min(100, Math.trunc(places)))
  if (exact.scale <= kept) return valueOf(exact)
  const unit = 10n ** BigInt(exact.scale - kept)
  const truncated = exact.units / unit
  const rest = exact.units - truncated * unit
  const down = rest < 0n ? -1n : 0n
  const up = rest > 0n ? 1n : 0n
  const away = exact.units < 0n ? -1n : 1n
  const half = (rest < 0n ? -rest : rest) * 2n >= unit ? away : 0n
  const steps = { floor: down, ceil: up, round: half, truncate: 0n }
  return valueOf({ units: truncated + steps[rounding], scale: kept })
}
