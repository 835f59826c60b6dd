/**
 * The operators of conditions, as Liquid defines them. No value is less or more than null. Numbers compare by
 * their exact worth.
 */
import { Decimal, JsonText } from '@sluice/contracts/values'
import { Drop } from 'liquidjs'
import { compareExactly, isExact } from '../values/exact-numbers.ts'
import type { Frame } from './frame.ts'
import { plainValue } from '../values/plain-value.ts'
import { Printable, printValue } from '../values/print-value.ts'

export type Operator = (left: unknown, right: unknown, frame: Frame) => unknown

/** `empty` and `blank`. They equal values that are empty or blank. They have no order, and print nothing. */
export class Emptiness extends Drop {
  readonly kind: 'empty' | 'blank'
  constructor(kind: 'empty' | 'blank') {
    super()
    this.kind = kind
  }
  override valueOf(): string {
    return ''
  }
  /** True for the empty text, list and map. `blank` also equals null, false and white space. */
  equals(value: unknown): boolean {
    if (value instanceof Emptiness) return value.kind === this.kind
    const plain = value instanceof Printable ? value.printed() : plainValue(value)
    const isBlank = this.kind === 'blank'
    if (plain === null || plain === undefined || plain === false) return isBlank
    if (typeof plain === 'string') return (isBlank ? plain.trim() : plain) === ''
    if (Array.isArray(plain) || plain instanceof Uint8Array) return plain.length === 0
    return isMap(plain) && Object.keys(plain).length === 0
  }
}

/** Liquid takes false, null and missing values for false, and all others for true, even `0` and `''`. */
export function isTruthy(value: unknown): boolean {
  if (value === false || value === null || value === undefined) return false
  return value instanceof Drop || value instanceof JsonText ? isTruthy(plainValue(value)) : true
}

/** Returns a negative number, zero or a positive number; null if the two cannot be compared. */
export function compareValues(left: unknown, right: unknown): number | null {
  if (left instanceof Emptiness || right instanceof Emptiness) return null
  const a = plainValue(left)
  const b = plainValue(right)
  if (typeof a === 'number' && typeof b === 'number') return ordered(a, b)
  if (typeof a === 'string' && typeof b === 'string') return ordered(a, b)
  if (isExact(a) || isExact(b) || typeof a === 'string' || typeof b === 'string') return compareExactly(a, b)
  if (a === null || a === undefined || b === null || b === undefined) return null
  if (typeof a === 'object' || typeof b === 'object') return null
  return ordered(Number(a), Number(b))
}

function ordered<T extends number | string>(a: T, b: T): number | null {
  if (a < b) return -1
  if (a > b) return 1
  return a === b ? 0 : null
}

/** True for values of equal kind and worth. Lists, maps and bytes are equal if their contents are equal. */
export function areEqual(left: unknown, right: unknown, frame: Frame): boolean {
  if (left === right) return true
  if (left instanceof Emptiness) return left.equals(right)
  if (right instanceof Emptiness) return right.equals(left)
  if (typeof left === 'object' && left !== null) return objectEquals(left, right, frame)
  if (typeof right === 'object' && right !== null) return objectEquals(right, left, frame)
  if (isExact(left) || isExact(right)) return exactEquals(left, right)
  return (left === null || left === undefined) && (right === null || right === undefined)
}

function exactEquals(left: unknown, right: unknown): boolean {
  return typeof left !== 'string' && typeof right !== 'string' && compareExactly(left, right) === 0
}

function objectEquals(left: object, right: unknown, frame: Frame): boolean {
  if (left instanceof Drop || left instanceof JsonText) return areEqual(plainValue(left), right, frame)
  if (right instanceof Drop || right instanceof JsonText) return areEqual(left, plainValue(right), frame)
  if (left instanceof Decimal) return exactEquals(left, right)
  if (Array.isArray(left)) {
    if (!Array.isArray(right) || left.length !== right.length) return false
    frame.step(left.length / 8)
    return left.every((item, index) => areEqual(item, right[index], frame))
  }
  if (left instanceof Uint8Array) return right instanceof Uint8Array && Buffer.compare(left, right) === 0
  if (!isMap(left) || !isMap(right)) return false
  const fields = Object.entries(left)
  frame.step(fields.length / 8)
  return (
    fields.length === Object.keys(right).length &&
    fields.every(([name, value]) => Object.hasOwn(right, name) && areEqual(value, right[name], frame))
  )
}

/** True for a map of fields. False for bytes, decimals, and values with a class of their own. */
export function isMap(value: unknown): value is { readonly [name: string]: unknown } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return !(
    value instanceof Uint8Array ||
    value instanceof Decimal ||
    value instanceof Drop ||
    value instanceof Printable
  )
}

function contains(left: unknown, right: unknown, frame: Frame): boolean {
  const whole = plainValue(left)
  const part = plainValue(right)
  if (part === null || part === undefined || part === false) return false
  if (Array.isArray(whole)) {
    frame.step(whole.length / 64)
    if (whole.includes(part)) return true
    // `includes` finds all equal texts. Other values may be equal without being identical.
    if (typeof part === 'string') return false
    frame.step(whole.length / 8)
    return whole.some(item => areEqual(item, part, frame))
  }
  if (isMap(whole)) return typeof part === 'string' && Object.hasOwn(whole, part)
  if (typeof whole !== 'string') return false
  frame.charge(whole.length)
  return whole.includes(printValue(part, frame))
}

export const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ['==', areEqual],
  ['!=', (left, right, frame) => !areEqual(left, right, frame)],
  ['<>', (left, right, frame) => !areEqual(left, right, frame)],
  ['<', (left, right) => (compareValues(left, right) ?? Number.NaN) < 0],
  ['>', (left, right) => (compareValues(left, right) ?? Number.NaN) > 0],
  ['<=', (left, right) => (compareValues(left, right) ?? Number.NaN) <= 0],
  ['>=', (left, right) => (compareValues(left, right) ?? Number.NaN) >= 0],
  ['contains', contains],
])
