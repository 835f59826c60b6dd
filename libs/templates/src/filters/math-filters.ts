/**
 * Arithmetic that loses no digit. JavaScript calculates whole numbers as long as they are safe. All others go
 * through decimals, where 0.1 plus 0.2 is 0.3. The result of two JavaScript numbers is a JavaScript number
 * again, unless it is a whole number that is not safe. As with Shopify, text counts as the number that it
 * spells, and anything else as 0.
 */
import { Decimal } from '@sluice/contracts/values'
import {
  absoluteExactly,
  calculateExactly,
  compareExactly,
  divideExactly,
  isExact,
  numberFromText,
  roundExactly,
  type ExactOperation,
  type Rounding,
} from '../values/exact-numbers.ts'
import type { FilterFunction } from './filter-signatures.ts'
import type { Frame } from '../liquid/frame.ts'
import { kindOf } from '../values/printable.ts'
import { plainValue } from '../values/plain-value.ts'
import { TemplateFault } from '../liquid/template-fault.ts'

export type AnyNumber = number | bigint | Decimal

/** Reading a number from text counts as two steps of work, and one more for each eight characters. */
const STEPS_PER_TEXT = 2
const CHARACTERS_PER_STEP = 8

/** Returns the number that a value counts as. */
export function numberOf(value: unknown, frame: Frame): AnyNumber {
  const plain = plainValue(value)
  if (typeof plain === 'number' || typeof plain === 'bigint') return plain
  if (typeof plain !== 'string' && !(plain instanceof Decimal)) return 0
  frame.step(STEPS_PER_TEXT + plain.toString().length / CHARACTERS_PER_STEP)
  return typeof plain === 'string' ? (numberFromText(plain) ?? 0) : plain
}

const ON_NUMBERS: { readonly [operation in ExactOperation]: (left: number, right: number) => number } = {
  plus: (left, right) => left + right,
  minus: (left, right) => left - right,
  times: (left, right) => left * right,
  modulo: (left, right) => ((left % right) + right) % right,
}

/** Throws a `TemplateFault` for `modulo` by zero, and for a result with too many digits. */
export function calculate(operation: ExactOperation, left: AnyNumber, right: AnyNumber): AnyNumber {
  if (operation === 'modulo' && isZero(right)) throw divisionByZero()
  const onNumbers = ON_NUMBERS[operation]
  if (typeof left !== 'number' || typeof right !== 'number')
    return calculateExactly(operation, left, right) ?? onNumbers(Number(left), Number(right))
  const result = onNumbers(left, right)
  const areWhole = Number.isSafeInteger(left) && Number.isSafeInteger(right)
  if (areWhole && Number.isSafeInteger(result)) return withoutSignOfZero(result)
  const exact = calculateExactly(operation, left, right)
  if (exact === null) return result
  return areWhole ? exact : Number(exact)
}

function binary(operation: ExactOperation): FilterFunction {
  return (value, args, frame) => calculate(operation, numberOf(value, frame), numberOf(args[0], frame))
}

function isZero(value: AnyNumber): boolean {
  return Number(value) === 0 && compareExactly(value, 0) === 0
}

function divisionByZero(): TemplateFault {
  return new TemplateFault('a division by zero has no result; is the divisor null, or no number?')
}

/** Otherwise `-0` would get into JSON. */
function withoutSignOfZero(value: number): number {
  return value === 0 ? 0 : value
}

/**
 * Divides. The quotient keeps its fraction, also of whole numbers, so that no row of a column loses its
 * fraction because its value happens to be whole. `true` as second argument rounds down.
 */
function dividedBy(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const left = numberOf(value, frame)
  const right = numberOf(args[0], frame)
  if (isZero(right)) throw divisionByZero()
  const exact = divideExactly(left, right)
  const bothNumbers = typeof left === 'number' && typeof right === 'number'
  const quotient = exact === null || bothNumbers ? Number(exact ?? Number(left) / Number(right)) : exact
  return plainValue(args[1]) === true ? rounded(quotient, 'floor', 0) : quotient
}

function bound(isBetter: (comparison: number) => boolean): FilterFunction {
  return (value, args, frame) => {
    const left = numberOf(value, frame)
    const right = numberOf(args[0], frame)
    const comparison = compareExactly(left, right) ?? Number(left) - Number(right)
    return isBetter(comparison) ? right : left
  }
}

function rounding(kind: Rounding): FilterFunction {
  return (value, args, frame) => rounded(numberOf(value, frame), kind, Number(numberOf(args[0], frame)))
}

/** NaN and infinities stay as they are. */
function rounded(value: AnyNumber, kind: Rounding, places: number): unknown {
  if (Number.isSafeInteger(value) && places >= 0) return value
  const exact = roundExactly(value, kind, places)
  return typeof value === 'number' ? withoutSignOfZero(Number(exact)) : exact
}

function abs(value: unknown, _args: readonly unknown[], frame: Frame): unknown {
  const number = numberOf(value, frame)
  return typeof number === 'number' ? Math.abs(number) : absoluteExactly(number)
}

/** Cuts off the fraction. Throws a `TemplateFault` for a value that is no number. */
function toInteger(value: unknown): unknown {
  const plain = plainValue(value)
  const number = typeof plain === 'string' ? numberFromText(plain) : plain
  if (typeof number === 'number' && Number.isFinite(number)) return roundExactly(number, 'truncate')
  if (isExact(number)) return roundExactly(number, 'truncate')
  throw new TemplateFault(`"to_integer" wants a number, found ${kindOf(plain)}`)
}

export const MATH_FILTERS: readonly [string, FilterFunction][] = [
  ['plus', binary('plus')],
  ['minus', binary('minus')],
  ['times', binary('times')],
  ['modulo', binary('modulo')],
  ['divided_by', dividedBy],
  ['at_least', bound(comparison => comparison < 0)],
  ['at_most', bound(comparison => comparison > 0)],
  ['abs', abs],
  ['ceil', rounding('ceil')],
  ['floor', rounding('floor')],
  ['round', rounding('round')],
  ['to_integer', toInteger],
]
