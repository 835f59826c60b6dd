/** Limits in words: "1,000 requests per second, 100 at once". */
import { fieldsOf, isMap, type Fields } from '../ui/fields-of.ts'
import { count, writtenDuration } from '../ui/format.ts'

export interface Rate {
  readonly requests: number | string
  readonly per: string
}

/** The rate of a destination without limits. */
export const DEFAULT_RATE = { requests: 1_000, per: 'second' } as const
const DEFAULT_CONCURRENCY = 100
const UNITS: ReadonlySet<string> = new Set(['second', 'minute', 'hour'])

export function limitsInWords(value: unknown): string {
  const { rate, concurrency } = fieldsOf(value)
  const rates: readonly unknown[] = rate === undefined ? [] : Array.isArray(rate) ? rate : [rate]
  const known = rates.map(fieldsOf).filter(isRate)
  const isKnown = concurrency === undefined || isNumber(concurrency)
  if (!isMap(value ?? {}) || known.length < rates.length || !isKnown)
    return 'limits that this page cannot show'
  const fast = (known.length === 0 ? [DEFAULT_RATE] : known).map(rateInWords).join(' and ')
  return `${fast}, ${figure(concurrency ?? DEFAULT_CONCURRENCY)} at once`
}

/** For example `1,000 requests per second`, `300 requests in 10 seconds`. */
export function rateInWords({ requests, per }: Rate): string {
  return `${figure(requests)} ${requests === 1 ? 'request' : 'requests'} ${UNITS.has(per) ? `per ${per}` : `in ${writtenDuration(per)}`}`
}

const isRate = (fields: Fields): fields is Fields & Rate =>
  isNumber(fields['requests']) && typeof fields['per'] === 'string'

const figure = (value: number | string): string => (typeof value === 'number' ? count(value) : value)

/** A number may be written as `${NAME}` in the files of a project. */
function isNumber(value: unknown): value is number | string {
  return typeof value === 'number' || typeof value === 'string'
}
