/** Limits in words: "100 requests per second, 10 at once". */
const DEFAULT_RATE = '1000 requests per second'
const DEFAULT_CONCURRENCY = '100 at once'
const UNITS: ReadonlySet<string> = new Set(['second', 'minute', 'hour'])

export function limitsInWords(value: unknown): string {
  const { rate, concurrency } = { ...fieldsOf(value ?? {}) }
  const rates: readonly unknown[] = rate === undefined ? [] : Array.isArray(rate) ? rate : [rate]
  const told = rates.map(rateInWords)
  const known = told.filter(text => text !== null)
  const isKnown = concurrency === undefined || isFigure(concurrency)
  if (fieldsOf(value ?? {}) === null || known.length < told.length || !isKnown)
    return 'limits that this page cannot tell'
  const fast = known.length === 0 ? DEFAULT_RATE : known.join(' and ')
  return `${fast}, ${concurrency === undefined ? DEFAULT_CONCURRENCY : `${String(concurrency)} at once`}`
}

function rateInWords(rate: unknown): string | null {
  const { requests, per } = { ...fieldsOf(rate) }
  if (!isFigure(requests) || typeof per !== 'string') return null
  return `${requests} requests ${UNITS.has(per) ? `per ${per}` : `in ${per}`}`
}

function fieldsOf(value: unknown): { readonly [name: string]: unknown } | null {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : null
}

function isFigure(value: unknown): value is number | string {
  return typeof value === 'number' || typeof value === 'string'
}
