/** Reads JSON text into values as rows have them, without losing a digit of a number (R18). */
import { Decimal, type Value } from '@sluice/contracts/values'

/**
 * A reviver for JSON.parse. `source` is the number as the text has it (ECMAScript 2026, JSON.parse source
 * text access).
 */
type Revive = (name: string, value: unknown, context?: { readonly source?: string }) => unknown

/** `JSON.parse` with types that allow such a reviver. */
const parse: (text: string, revive: Revive) => Value = JSON.parse

/**
 * Parses JSON text. A number that no JavaScript number holds exactly becomes a bigint, or a `Decimal`
 * with the text's own digits. Throws a `SyntaxError` for a text that is no JSON.
 */
export function parseExactJson(text: string): Value {
  return parse(text, (_name, value, context) =>
    typeof value === 'number' ? exactNumber(value, context?.source ?? String(value)) : value,
  )
}

function exactNumber(value: number, source: string): number | bigint | Decimal {
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source)
  return isSameNumber(value, source) ? value : new Decimal(source)
}

/** True if the number prints with the digits of the source. Trailing zeros and exponents may differ. */
function isSameNumber(value: number, source: string): boolean {
  return Number.isFinite(value) && normalized(String(value)) === normalized(source)
}

/** Returns the digits without zeros at either end, and the power of ten of the last digit. */
function normalized(number: string): string {
  const [mantissa = '', exponent = '0'] = number
    .toLowerCase()
    .replace('-', '')
    .split(/e(?=[+-]?\d+$)/)
  const [whole = '', fraction = ''] = mantissa.split('.')
  const digits = (whole + fraction).replace(/0+$/, '')
  const dropped = whole.length + fraction.length - digits.length
  const power = Number(exponent) - fraction.length + dropped
  const significant = digits.replace(/^0+/, '')
  return significant === '' ? '0' : `${significant}e${power}`
}
