/**
 * Columns of numbers only ever widen. What a query gives may be whole numbers on one day and others the next
 * (the types of a CSV's columns are guessed from what it holds), and a change carries the row of that other
 * day too. So a schema that is the latest but for narrower numbers is taken for the latest.
 */
import type { AvroRecordSchema } from '@sluice/contracts/avro-schemas'

/** What holds every value of the narrower type. No float: it does not hold all integers. */
const WIDER: { readonly [narrow: string]: readonly string[] } = {
  int: ['long', 'double'],
  long: ['double'],
  float: ['double'],
}

/**
 * True if the wide schema differs from the narrow one in wider column types of numbers, and in nothing else.
 */
export function widensNumbers(wide: AvroRecordSchema, narrow: AvroRecordSchema): boolean {
  let widened = false
  const fits = (a: unknown, b: unknown): boolean => {
    if (Object.is(a, b)) return true
    if (Array.isArray(a) && Array.isArray(b))
      return a.length === b.length && a.every((item, index) => fits(item, b[index]))
    if (!isAttributes(a) || !isAttributes(b)) return false
    if (isWider(a, b)) {
      widened = true
      return true
    }
    const names = Object.keys(a)
    return names.length === Object.keys(b).length && names.every(name => fits(a[name], b[name]))
  }
  return fits(wide, narrow) && widened
}

interface Attributes {
  readonly [name: string]: unknown
}

function isAttributes(value: unknown): value is Attributes {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Of two column types: has the first all numbers of the second, and more? */
function isWider(wide: Attributes, narrow: Attributes): boolean {
  if (wide['sluiceType'] === undefined || narrow['sluiceType'] === undefined) return false
  if (wide['sluiceType'] === 'decimal' && narrow['sluiceType'] === 'decimal')
    return wide['scale'] === narrow['scale'] && Number(wide['precision']) > Number(narrow['precision'])
  if (wide['logicalType'] !== undefined || narrow['logicalType'] !== undefined) return false
  return WIDER[String(narrow['type'])]?.includes(String(wide['type'])) ?? false
}
