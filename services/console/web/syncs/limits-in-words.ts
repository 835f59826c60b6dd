/** Limits in words: "100 requests per second, 10 at once". */
import { fieldsOf } from '../ui/fields-of.ts'
import { writtenDuration } from '../ui/format.ts'

const DEFAULT_RATE = '1000 requests per second'
const DEFAULT_CONCURRENCY = '100 at once'
const UNITS: ReadonlySet<string> = new Set(['second', 'minute', 'hour'])

export function limitsInWords(value: unknown): string {
  const { rate, concurrency } = fieldsOf(value)
  const rates: readonly unknown[] = rate === undefined ? [] : Array.isArray(rate) ? rate : [rate]
  const known = rates.map(rateInWords).filter(text => text !== null)
  const isKnown = concurrency === undefined || isNumber(concurrency)
  if (!isMap(value ?? {}) || known.length < rates.length || !isKnown)
    return 'limits that this page cannot show'
  const fast = known.length === 0 ? DEFAULT_RATE : known.join(' and ')
  return `${fast}, ${concurrency === undefined ? DEFAULT_CONCURRENCY : `${String(concurrency)} at once`}`
}

function rateInWords(rate: unknown): string | null {
  const { requests, per } = fieldsOf(rate)
  if (!isNumber(requests) || typeof per !== 'string') return null
  return `${requests} requests ${UNITS.has(per) ? `per ${per}` : `in ${writtenDuration(per)}`}`
}

function isMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

/** A number may be written with a \`${NAME}\` in the files of a project. */
function isNumber(value: unknown): value is number | string {
  return typeof value === 'number' || typeof value === 'string'
}
