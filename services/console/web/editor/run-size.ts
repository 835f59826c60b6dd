/** The size of a run: its requests, and the shortest time that they take at the limits. */
import { DEFAULT_RATE, rateInWords } from '../syncs/limits-in-words.ts'
import { fieldsOf } from '../ui/fields-of.ts'
import { textAt, valueAt, type Draft } from './draft.ts'

const OPS = ['added', 'changed', 'removed'] as const
type Counts = { readonly [op in (typeof OPS)[number]]: number }

const DEFAULT_BATCH = 100
const PER_MS: { readonly [time: string]: number } = { second: 1_000, minute: 60_000, hour: 3_600_000 }
const UNIT_MS: { readonly [unit: string]: number } = {
  ...{ ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 },
}

export interface RunSize {
  readonly requests: number
  /** False if requests have several rows: how many fit into one depends on their bytes, too. */
  readonly isExact: boolean
  /** The time of the requests at the strictest rate. The API may need longer. */
  readonly ms: number
  /** The strictest rate, for example `100 requests per second`. */
  readonly rate: string
}

export function runSizeOf(
  counts: Counts,
  { sync, destination }: Pick<Draft, 'sync' | 'destination'>,
): RunSize {
  let requests = 0
  let isExact = true
  for (const op of OPS) {
    const size = batchSizeOf(sync, op)
    if (size > 1 && counts[op] > 0) isExact = false
    requests += Math.ceil(counts[op] / size)
  }
  const rates = [destination, sync].flatMap(text => ratesIn(valueAt(text, ['limits', 'rate'])))
  const known = rates.length === 0 ? [DEFAULT_RATE] : rates
  const slowest = known.reduce((one, other) => (msOf(one, requests) >= msOf(other, requests) ? one : other))
  return { requests, isExact, ms: msOf(slowest, requests), rate: rateInWords(slowest) }
}

/** The largest number of rows in one request. */
function batchSizeOf(sync: string, op: string): number {
  const trigger = valueAt(sync, ['triggers', op])
  const own = typeof trigger === 'string' ? trigger : op
  if (valueAt(sync, ['triggers', own, 'batch']) === undefined) return 1
  const size = Number(textAt(sync, ['triggers', own, 'batch', 'size']) || DEFAULT_BATCH)
  return size >= 1 ? size : DEFAULT_BATCH
}

interface Rate {
  readonly requests: number
  readonly per: string
}

/** The time of a rate: one of the words, or a duration such as `250ms`. NaN for any other text. */
function perMsOf(per: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(per) ?? []
  return PER_MS[per] ?? Number(amount) * (UNIT_MS[unit] ?? NaN)
}

/** The rates that can be read. The fields of other rates show their mistakes. */
function ratesIn(value: unknown): readonly Rate[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value]
  return all.flatMap(each => {
    const { requests, per } = fieldsOf(each)
    const rate = { requests: Number(requests), per: String(per) }
    return rate.requests > 0 && perMsOf(rate.per) > 0 ? [rate] : []
  })
}

function msOf({ requests, per }: Rate, wanted: number): number {
  return (wanted / requests) * perMsOf(per)
}

/** For example `less than a second`, `about 40 seconds`, `about 3 hours`. */
export function timeInWords(ms: number): string {
  const steps: readonly (readonly [ms: number, name: string])[] = [
    ...([
      [86_400_000, 'day'],
      [3_600_000, 'hour'],
      [60_000, 'minute'],
      [1_000, 'second'],
    ] as const),
  ]
  const [unit, name] = steps.find(([each]) => ms >= each * (each === 1_000 ? 1 : 2)) ?? []
  if (unit === undefined || name === undefined) return 'less than a second'
  const amount = Math.round(ms / unit)
  return `about ${amount} ${name}${amount === 1 ? '' : 's'}`
}
