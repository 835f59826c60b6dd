/** Sums of a run's counts over its triggers. */
import type { RunView } from '@sluice/contracts/api'
import { count, rows } from '../ui/format.ts'

export interface Totals {
  readonly detected: number
  readonly delivered: number
  readonly rejected: number
  readonly unknown: number
  readonly unsent: number
  readonly requests: number
  readonly attempts: number
  /** Rows that the run has reported as not delivered. */
  readonly failed: number
}

const NAMES = ['detected', 'delivered', 'rejected', 'unknown', 'unsent', 'requests', 'attempts'] as const

export function totalsOf({ triggers }: Pick<RunView, 'triggers'>): Totals {
  const sums = { detected: 0, delivered: 0, rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 }
  for (const [, counts] of triggersOf({ triggers })) for (const name of NAMES) sums[name] += counts[name]
  const failed = sums.rejected + sums.unknown + sums.unsent
  return { ...sums, failed }
}

type Counts = NonNullable<RunView['triggers']['added']>

/** The triggers that have rows in the run; all of its triggers while none has. */
export function triggersWithRows(run: Pick<RunView, 'triggers'>): ReturnType<typeof triggersOf> {
  const all = triggersOf(run)
  const some = all.filter(([, { detected }]) => detected > 0)
  return some.length === 0 ? all : some
}

/** The triggers that a run has, in the order in which it sends them. */
export function triggersOf({ triggers }: Pick<RunView, 'triggers'>): readonly (readonly [string, Counts])[] {
  const { removed, changed, added } = triggers
  const all = [
    ['removed', removed],
    ['changed', changed],
    ['added', added],
  ] as const
  return all.flatMap(([name, counts]) => (counts === undefined ? [] : [[name, counts] as const]))
}

/** Says what a cancel would leave of a run, by the counts that a person has seen. */
export function leftByCancel(run: Pick<RunView, 'triggers'>): string {
  const { detected, delivered } = totalsOf(run)
  if (detected === 0) return 'Nothing was sent yet.'
  const left = detected - delivered
  const some = `${count(delivered)} of ${rows(detected)} ${delivered === 1 ? 'is' : 'are'} delivered.`
  return left === 0 ? some : `${some} ${count(left)} ${left === 1 ? 'stays' : 'stay'} for the next run.`
}
