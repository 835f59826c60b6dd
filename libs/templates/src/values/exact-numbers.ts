/**
 * Calculates and compares without losing a digit (R18). JavaScript numbers cannot hold all bigints and
 * `Decimal`s, and hold fractions in binary.
 */
import { Decimal } from '@sluice/contracts/values'
import { TemplateFault } from '../liquid/template-fault.ts'

/**
 * A decimal that a template wrote or calculated. It has one digit behind the point, or more without trailing
 * zeros, as Shopify prints `5.0` and `10.5`. A decimal of a column, in contrast, keeps all digits behind its
 * point.
 */
export class WrittenDecimal extends Decimal {}

/** `units` × 10^−`scale`. */
interface Exact {
  readonly units: bigint
  readonly scale: number
}

/** A longer text is no number. A longer result is refused. */
const MAX_DIGITS = 1_000
const TOO_LARGE = 10n ** BigInt(MAX_DIGITS)

const NUMBER_TEXT = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?\s*$/

/** True for values that JavaScript numbers may not hold. */
export function isExact(value: unknown): value is bigint | Decimal {
  return typeof value === 'bigint' || value instanceof Decimal
}

/** Reads a value as an exact decimal number; null for a value that is no finite number. */
function exactOf(value: unknown): Exact | null {
  if (typeof value === 'bigint') return { units: value, scale: 0 }
  if (typeof value !== 'number' && typeof value !== 'string' && !(value instanceof Decimal)) return null
  const text = String(value)
  if (text.length > MAX_CACHED_LENGTH) return text.length > MAX_DIGITS ? null : exactOfText(text)
  const known = exactByText.get(text)
  if (known !== undefined) return known
  const exact = exactOfText(text)
  if (exactByText.size >= MAX_CACHED) exactByText.clear()
  exactByText.set(text, exact)
  return exact
}

/** Keeps what short texts stand for, since the same prices, zeros and literals come again and again. */
const exactByText = new Map<string, Exact | null>()
const MAX_CACHED = 1_000
const MAX_CACHED_LENGTH = 24

function exactOfText(text: string): Exact | null {
  const match = NUMBER_TEXT.exec(text)
  if (match === null) return null
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  if (whole === '' && fraction === '') return null
  const units = BigInt(whole + fraction)
  const scale = fraction.length - Number(exponent)
  const signed = sign === '-' ? -units : units
  return scale >= 0 ? { units: signed, scale } : { units: signed * 10n ** BigInt(-scale), scale: 0 }
}

/** Turns an exact number into a value: a `Decimal` with a fraction, else a number if safe, else a bigint. */
function valueOf({ units, scale }: Exact): number | bigint | Decimal {
  if (scale === 0) {
    const number = Number(units)
    return Number.isSafeInteger(number) ? number : units
  }
  return new Decimal(textOf({ units, scale }))
}

function textOf({ units, scale }: Exact): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0')
  return `${units < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** Reads a number from text; null if it is none. A text with a point is a decimal: `2.0`. */
export function numberFromText(text: string): number | bigint | Decimal | null {
  const exact = exactOf(text)
  return exact === null ? null : exact.scale === 0 ? valueOf(exact) : written(exact)
}

function written(exact: Exact): WrittenDecimal {
  return new WrittenDecimal(textOf(withoutZeros(exact, 1)))
}

function isOfColumn(value: unknown): boolean {
  return value instanceof Decimal && !(value instanceof WrittenDecimal)
}

/**
 * Returns a key that only equal numbers share. `1.50` and `1.5` have the same key, and so have
 * 9007199254740993 as a bigint and as a decimal.
 */
export function numberKey(value: number | bigint | Decimal): string {
  const exact = Number.isSafeInteger(value) ? null : exactOf(value)
  if (exact === null) return String(value)
  const { units, scale } = withoutZeros(exact, 0)
  return scale === 0 ? String(units) : `${units}e-${scale}`
}

/** Drops trailing zeros, but keeps at least `kept` digits behind the point. */
function withoutZeros({ units, scale }: Exact, kept: number): Exact {
  while (scale > kept && units % 10n === 0n) {
    units /= 10n
    scale -= 1
  }
  return { units, scale }
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
 * Returns a negative number, zero or a positive number, as `left` is less than, equal to or more than
 * `right`; null if either is no finite number.
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

/** Returns the exact result; null if an operand is no finite number, or for `modulo` by zero. */
export function calculateExactly(
  operation: ExactOperation,
  left: unknown,
  right: unknown,
): number | bigint | Decimal | null {
  const a = exactOf(left)
  const b = exactOf(right)
  if (a === null || b === null) return null
  const exact = exactResult(operation, a, b)
  if (exact === null) return null
  const value = result(exact)
  return exact.scale === 0 || isOfColumn(left) || isOfColumn(right) ? value : written(exact)
}

function exactResult(operation: ExactOperation, a: Exact, b: Exact): Exact | null {
  if (operation === 'times') return { units: a.units * b.units, scale: a.scale + b.scale }
  const { left, right, scale } = aligned(a, b)
  if (operation === 'plus') return { units: left + right, scale }
  if (operation === 'minus') return { units: left - right, scale }
  // Liquid's remainder has the sign of the divisor.
  return right === 0n ? null : { units: ((left % right) + right) % right, scale }
}

/** An exact quotient may have this many digits more than its operands. */
const MAX_QUOTIENT_DIGITS = 20
/** A JavaScript number always holds this many digits. */
const SAFE_DIGITS = 15

/**
 * Returns the quotient with all its digits if these end. If they never end, the result depends on the
 * operands:
 *
 * - Null if JavaScript numbers hold both, since their own quotient is as exact.
 * - Otherwise the quotient, rounded half away from zero after at least 17 digits, 6 of them behind the point.
 *
 * The quotient is a `Decimal` if an operand is one.
 */
export function divideExactly(left: unknown, right: unknown): number | bigint | Decimal | null {
  const a = exactOf(left)
  const b = exactOf(right)
  if (a === null || b === null || b.units === 0n) return null
  const pair = aligned(a, b)
  const kept = left instanceof Decimal || right instanceof Decimal ? 1 : 0
  const scaled = pair.left * 10n ** BigInt(MAX_QUOTIENT_DIGITS)
  if (scaled % pair.right === 0n)
    return result(withoutZeros({ units: scaled / pair.right, scale: MAX_QUOTIENT_DIGITS }, kept))
  if (digitsOf(a.units) <= SAFE_DIGITS && digitsOf(b.units) <= SAFE_DIGITS) return null
  const whole = pair.left / pair.right
  const scale = Math.max(6, 17 - digitsOf(whole))
  const twice = (2n * pair.left * 10n ** BigInt(scale)) / pair.right
  return result(withoutZeros({ units: (twice + (twice < 0n ? -1n : 1n)) / 2n, scale }, kept))
}

function digitsOf(units: bigint): number {
  return (units < 0n ? -units : units).toString().length
}

function result(exact: Exact): number | bigint | Decimal {
  if (exact.scale > MAX_DIGITS || exact.units >= TOO_LARGE || exact.units <= -TOO_LARGE)
    throw new TemplateFault(`the result has more than ${MAX_DIGITS} digits`)
  return valueOf(exact)
}

/** Returns the value without its sign. */
export function absoluteExactly(value: bigint | Decimal): number | bigint | Decimal {
  const exact = exactOf(value)
  if (exact === null || !value.toString().startsWith('-')) return value
  return valueOf({ units: exact.units < 0n ? -exact.units : exact.units, scale: exact.scale })
}

export type Rounding = 'floor' | 'ceil' | 'round' | 'truncate'

/**
 * Rounds to `places` digits behind the point, or before it if `places` is negative. `round` rounds half away
 * from zero. A value that is no finite number is returned unchanged.
 */
export function roundExactly<T extends number | bigint | Decimal>(
  value: T,
  rounding: Rounding,
  places = 0,
): T | number | bigint | Decimal {
  const exact = exactOf(value)
  if (exact === null) return value
  const kept = Math.max(-MAX_DIGITS, Math.min(100, Math.trunc(places) || 0))
  if (exact.scale <= kept) return valueOf(exact)
  const unit = 10n ** BigInt(exact.scale - kept)
  const truncated = exact.units / unit
  const rest = exact.units - truncated * unit
  const down = rest < 0n ? -1n : 0n
  const up = rest > 0n ? 1n : 0n
  const away = exact.units < 0n ? -1n : 1n
  const half = (rest < 0n ? -rest : rest) * 2n >= unit ? away : 0n
  const steps = { floor: down, ceil: up, round: half, truncate: 0n }
  const units = truncated + steps[rounding]
  return kept < 0
    ? valueOf({ units: units * 10n ** BigInt(-kept), scale: 0 })
    : valueOf({ units, scale: kept })
}
