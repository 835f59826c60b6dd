/**
 * Arithmetic. Plain numbers are calculated as numbers; as soon as a bigint or a `Decimal` takes part, the
 * calculation is exact. Division and text that is no number are the exceptions: they go through JavaScript
 * numbers, as in liquidjs.
 */
import { Decimal } from '@sluice/contracts/values'
import { absoluteExactly, calculateExactly, compareExactly, isExact, roundExactly } from './exact-numbers.ts'
import { plainValue } from './plain-value.ts'
import type { ExactOperation, Rounding } from './exact-numbers.ts'

type MathFilter = (value: unknown, args: readonly unknown[]) => unknown

/** As liquidjs reads numbers: what is none counts as 0. */
function numberOf(value: unknown): number {
  const plain = plainValue(value)
  if (plain instanceof Decimal) return Number(plain.text)
  const number = Number(plain)
  return Number.isNaN(number) ? 0 : number
}

function binary(operation: ExactOperation, onNumbers: (left: number, right: number) => number): MathFilter {
  return (value, args) => {
    const left = plainValue(value)
    const right = plainValue(args[0])
    if (isExact(left) || isExact(right)) {
      const result = calculateExactly(operation, left ?? 0, right ?? 0)
      if (result !== null) return result
    }
    return onNumbers(numberOf(left), numberOf(right))
  }
}

function bound(better: (comparison: number) => boolean): MathFilter {
  return (value, args) => {
    const left = plainValue(value)
    const right = plainValue(args[0])
    if (isExact(left) || isExact(right)) {
      const comparison = compareExactly(left ?? 0, right ?? 0)
      if (comparison !== null) return better(comparison) ? right : left
    }
    const [a, b] = [numberOf(left), numberOf(right)]
    return better(a - b) ? b : a
  }
}

function rounding(kind: Rounding, onNumber: (value: number, places: number) => number): MathFilter {
  return (value, args) => {
    const plain = plainValue(value)
    const places = numberOf(args[0])
    return isExact(plain) ? roundExactly(plain, kind, places) : onNumber(numberOf(plain), places)
  }
}

/**
 * Half away from zero, as Ruby rounds; the decimal point is shifted in text, since 1.005 × 100 is not 100.5
 * in binary.
 */
function roundNumber(value: number, places: number): number {
  const scaled = shifted(Math.abs(value), places)
  if (!(scaled <= Number.MAX_SAFE_INTEGER)) return value
  const rounded = shifted(Math.round(scaled), -places)
  return value < 0 ? -rounded : rounded
}

function shifted(value: number, places: number): number {
  const [mantissa = '0', power = '0'] = String(value).split('e')
  return Number(`${mantissa}e${Number(power) + places}`)
}

function abs(value: unknown): unknown {
  const plain = plainValue(value)
  return isExact(plain) ? absoluteExactly(plain) : Math.abs(numberOf(plain))
}

/** A quotient has no last digit, so it is a JavaScript number; `true` as second argument rounds it down. */
function dividedBy(value: unknown, args: readonly unknown[]): unknown {
  const quotient = numberOf(value) / numberOf(args[0])
  return args[1] === true ? Math.floor(quotient) : quotient
}

export const MATH_FILTERS: readonly [string, MathFilter][] = [
  ['plus', binary('plus', (left, right) => left + right)],
  ['minus', binary('minus', (left, right) => left - right)],
  ['times', binary('times', (left, right) => left * right)],
  ['modulo', binary('modulo', (left, right) => ((left % right) + right) % right)],
  ['divided_by', dividedBy],
  ['at_least', bound(comparison => comparison < 0)],
  ['at_most', bound(comparison => comparison > 0)],
  ['abs', abs],
  ['ceil', rounding('ceil', value => Math.ceil(value))],
  ['floor', rounding('floor', value => Math.floor(value))],
  ['round', rounding('round', roundNumber)],
]
