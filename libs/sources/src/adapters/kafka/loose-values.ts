/**
 * Values without a schema. Each has the text of its JSON, behind a letter for its kind: b
 * for true and false, l for a whole number of 64 bits, n for any other number, s for a text, and j for lists
 * and maps. The letters of all values of a column make its type.
 */
import { BOOLEAN, type Carrier, isRaw, JSON_VALUE, jsonText, LONG, TEXT } from './carried-values.ts'
import type { Cells } from './entry.ts'

const MIN_LONG = -(2n ** 63n)
const MAX_LONG = 2n ** 63n - 1n

export function looseCells(row: { readonly [name: string]: unknown }): Cells {
  const names = Object.keys(row)
  return { names, carriers: null, texts: names.map(name => looseText(row[name])) }
}

export function looseText(value: unknown): string | null {
  if (value === null || value === undefined) return null
  switch (typeof value) {
    case 'string':
      return `s${value}`
    case 'boolean':
      return `b${value}`
    case 'number':
      return `${Number.isSafeInteger(value) && !Object.is(value, -0) ? 'l' : 'n'}${value}`
    default:
      if (!isRaw(value)) return `j${jsonText(value)}`
      return `${isLong(value.rawJSON) ? 'l' : 'n'}${value.rawJSON}`
  }
}

function isLong(text: string): boolean {
  if (!/^-?\d{1,19}$/.test(text)) return false
  const whole = BigInt(text)
  return whole >= MIN_LONG && whole <= MAX_LONG && String(whole) === text
}

/**
 * Returns how a column with values of these kinds is carried. Numbers of both kinds are numbers. Any value
 * fits beside lists and maps, as JSON. All else is text.
 */
export function looseCarrier(kinds: ReadonlySet<string>): Carrier {
  const [only, ...others] = kinds
  if (kinds.has('j')) return JSON_VALUE
  if (others.length === 0)
    return only === 'b' ? BOOLEAN : only === 'l' ? LONG : only === 'n' ? JSON_VALUE : TEXT
  return kinds.size === 2 && kinds.has('l') && kinds.has('n') ? JSON_VALUE : TEXT
}
