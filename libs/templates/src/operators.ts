/**
 * Comparison in conditions, as Liquid defines it: nothing is less or more than null, and numbers compare by
 * what they are worth, exactly.
 */
import { JsonText } from '@sluice/contracts/values'
import { Drop, toValueSync } from 'liquidjs'
import { compareExactly, isExact } from './exact-numbers.ts'
import type { Frame } from './frame.ts'
import { plainValue, unpackJson } from './plain-value.ts'
import { printValue } from './print-value.ts'

export type Operator = (left: unknown, right: unknown, frame: Frame) => unknown

/** False, null and what is missing are false; all else is true, `0` and `''` too. */
export function isTruthy(value: unknown): boolean {
  if (value === false || value === null || value === undefined) return false
  return value instanceof Drop || value instanceof JsonText ? isTruthy(plainValue(value)) : true
}

/** Negative, zero or positive; null where the two cannot be compared. */
export function compareValues(left: unknown, right: unknown): number | null {
  const a = plainValue(left)
  const b = plainValue(right)
  if (typeof a === 'number' && typeof b === 'number') return ordered(a, b)
  if (typeof a === 'string' && typeof b === 'string') return ordered(a, b)
  if (isExact(a) || isExact(b)) return compareExactly(a, b)
  if (a === null || a === undefined || b === null || b === undefined) return null
  if (typeof a === 'object' || typeof b === 'object') return null
  return ordered(Number(a), Number(b))
}

function ordered<T extends number | string>(a: T, b: T): number | null {
  if (a < b) return -1
  if (a > b) return 1
  return a === b ? 0 : null
}

/** Equal in kind and worth; lists item by item; `empty`, `blank` and `nil` as liquidjs has them. */
export function areEqual(left: unknown, right: unknown, frame: Frame): boolean {
  if (left === right) return true
  if (left instanceof Drop || right instanceof Drop) return dropEquals(left, right, frame)
  if (left instanceof JsonText || right instanceof JsonText)
    return areEqual(unpackJson(left), unpackJson(right), frame)
  if (isExact(left) || isExact(right))
    return typeof left !== 'string' && typeof right !== 'string' && compareExactly(left, right) === 0
  if (Array.isArray(left) && Array.isArray(right)) {
    if (left.length !== right.length) return false
    frame.step(left.length / 8)
    return left.every((item, index) => areEqual(item, right[index], frame))
  }
  return (left === null || left === undefined) && (right === null || right === undefined)
}

function dropEquals(left: unknown, right: unknown, frame: Frame): boolean {
  const [drop, other] = left instanceof Drop && hasEquals(left) ? [left, right] : [right, left]
  if (drop instanceof Drop && hasEquals(drop)) return toValueSync(drop.equals(plainValue(other))) === true
  return areEqual(plainValue(left), plainValue(right), frame)
}

function hasEquals(drop: Drop): drop is Drop & { equals(other: unknown): unknown } {
  return typeof drop['equals'] === 'function'
}

function contains(left: unknown, right: unknown, frame: Frame): boolean {
  const whole = plainValue(left)
  const part = plainValue(right)
  if (Array.isArray(whole)) {
    frame.step(whole.length / 64)
    if (whole.includes(part)) return true
    // Text is equal to the same text only; other values may be equal though they are not the same.
    if (typeof part === 'string') return false
    frame.step(whole.length / 8)
    return whole.some(item => areEqual(item, part, frame))
  }
  if (typeof whole !== 'string' || part === null || part === undefined) return false
  frame.charge(whole.length)
  return whole.includes(printValue(part, frame))
}

export const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ['==', areEqual],
  ['!=', (left, right, frame) => !areEqual(left, right, frame)],
  ['<', (left, right) => (compareValues(left, right) ?? Number.NaN) < 0],
  ['>', (left, right) => (compareValues(left, right) ?? Number.NaN) > 0],
  ['<=', (left, right) => (compareValues(left, right) ?? Number.NaN) <= 0],
  ['>=', (left, right) => (compareValues(left, right) ?? Number.NaN) >= 0],
  ['contains', contains],
])
