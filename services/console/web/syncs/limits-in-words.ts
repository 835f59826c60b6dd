/** Limits in words: "100 requests per second, 10 at once". */
import { fieldsOf, isMap, type Fields } from '../ui/fields-of.ts'
import { writtenDuration } from '../ui/format.ts'

export interface Rate {
  readonly requests: number | string
  readonly per: string
}

/** The rate of a destination without limits. */
export const DEFAULT_RATE = { requests: 1_000, per: 'second' } as const
const DEFAULT_CONCURRENCY = '100 at once'
const UNITS: ReadonlySet<string> = new Set(['second', 'minute', 'hour'])

export function limitsInWords(value: unknown): string {
  const { rate, concurrency } = fieldsOf(value)
  const rates: readonly unknown[] = rate === undefined ? [] : Array.isArray(rate) ? rate : [rate]
  const known = rates.map(fieldsOf).filter(isRate)
  const isKnown = concurrency === undefined || isNumber(concurrency)
  if (!isMap(value ?? {}) || known.length < rates.length || !isKnown)
    return 'limits that this page cannot show'
  const fast = (known.length === 0 ? [DEFAULT_RATE] : known).map(rateInWords).join(' and ')
  return `${fast}, ${concurrency === undefined ? DEFAULT_CONCURRENCY : `${String(concurrency)} at once`}`
}

/** For example `100 requests per second`, `1000 requests in 10 seconds`. */
export function rateInWords({ requests, per }: Rate): string {
  return `${requests} requests ${UNITS.has(per) ? `per ${per}` : `in ${writtenDuration(per)}`}`
}

const isRate = (fields: Fields): fields is Fields & Rate =>
  isNumber(fields['requests']) && typeof fields['per'] === 'string'

/** A number may be written as `${NAME}` in the files of a project. */
function isNumber(value: unknown): value is number | string {
  return typeof value === 'number' || typeof value === 'string'
}
