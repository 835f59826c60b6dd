/** Reads JSON text into the values of rows: no digit of a number is lost (R18). */
import { Decimal } from '@sluice/contracts/values'
import type { Value } from '@sluice/contracts/values'

/**
 * Makes a row's value of a value that JSON.parse read. `source` is how a number was written (ECMAScript 2026,
 * JSON.parse source text access).
 */
type Revive = (name: string, value: unknown, context?: { readonly source?: string }) => unknown

/** `JSON.parse`, with the type of its result for such a reviver. */
const parse: (text: string, revive: Revive) => Value = JSON.parse

/**
 * The value of a JSON text. A number that no JavaScript number holds exactly becomes a bigint, or a `Decimal`
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

/**
 * True if the number prints with the digits of the source. Zeros at the end, and the way of writing
 * exponents, do not count.
 */
function isSameNumber(value: number, source: string): boolean {
  return Number.isFinite(value) && normal(String(value)) === normal(source)
}

/** Digits without zeros at either end, with the power of ten of the last one. */
function normal(number: string): string {
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
