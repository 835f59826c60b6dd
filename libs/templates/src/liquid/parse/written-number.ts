/** Numbers as a template writes them. */
import { Decimal } from '@sluice/contracts/values'
import { WrittenDecimal } from '../../values/exact-numbers.ts'

/**
 * A number to print and to calculate with. With a point it is a decimal, so that `5.0` prints as it is
 * written and `x | times: 1.19` is exact. Without one it is a number, or a bigint if JavaScript would lose
 * digits.
 */
export function printedNumber(text: string): number | bigint | Decimal {
  const plain = text.replace(/^\+/, '')
  if (!plain.includes('.')) return wholeNumber(plain)
  const [whole = '', fraction = ''] = plain.split('.')
  const digits = fraction.replace(/0+$/, '')
  return new WrittenDecimal(`${whole.replace(/^(-?)0+(?=\d)/, '$1')}.${digits === '' ? '0' : digits}`)
}

/** The same number for comparing: a JavaScript number, unless that would be another number. */
export function comparedNumber(text: string): number | bigint | Decimal {
  const printed = printedNumber(text)
  if (!(printed instanceof Decimal)) return printed
  const number = Number(printed.text)
  const isSame = printedNumber(withPoint(String(number))).toString() === printed.text
  return isSame ? number : printed
}

function withPoint(text: string): string {
  return text.includes('.') ? text : `${text}.0`
}

function wholeNumber(text: string): number | bigint {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}
