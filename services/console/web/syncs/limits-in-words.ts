/** Limits as a sentence: "at most 100 a second and 10 at once". */
import { z } from 'zod'

const rate = z.object({ requests: z.union([z.number(), z.string()]), per: z.string() })
const limits = z.object({
  rate: z.union([rate, z.array(rate)]).optional(),
  concurrency: z.union([z.number(), z.string()]).optional(),
})

const DEFAULT_RATE = 'at most 1000 a second'
const DEFAULT_CONCURRENCY = '100 at once'
const UNITS: ReadonlySet<string> = new Set(['second', 'minute', 'hour'])

export function limitsInWords(value: unknown): string {
  const parsed = limits.safeParse(value ?? {})
  if (!parsed.success) return 'limits that this page cannot tell'
  const { rate: rates = [], concurrency } = parsed.data
  const list = Array.isArray(rates) ? rates : [rates]
  const told = list.map(({ requests, per }) => `${requests} ${UNITS.has(per) ? `a ${per}` : `in ${per}`}`)
  const fast = told.length === 0 ? DEFAULT_RATE : `at most ${told.join(' and ')}`
  return `${fast}, ${concurrency === undefined ? DEFAULT_CONCURRENCY : `${concurrency} at once`}`
}
