/** The differences of two runs, as lines of tables. */
import { PHASE_NAMES } from '@sluice/contracts/views/state-words'
import type { RunView } from '@sluice/contracts/api'
import type { RunAnswers, RunFigures } from '@sluice/contracts/views/history-views'
import { count, duration } from '../ui/format.ts'
import { totalsOf, triggersOf } from './totals.ts'

export interface ComparedLine {
  readonly what: string
  readonly before: string
  readonly after: string
  /** Empty if both are equal, or if one is not known. */
  readonly difference: string
}

export interface Two<T> {
  readonly before: T
  readonly after: T
}

type InWords = (value: number) => string

/** A line for a figure. An unknown figure is null. */
function line(what: string, { before, after }: Two<number | null>, inWords: InWords): ComparedLine {
  const told = (value: number | null): string => (value === null ? 'not known' : inWords(value))
  return { what, before: told(before), after: told(after), difference: differenceOf(before, after, inWords) }
}

function differenceOf(before: number | null, after: number | null, inWords: InWords): string {
  if (before === null || after === null || before === after) return ''
  const [sign, by] = after > before ? ['+', after - before] : ['−', before - after]
  return inWords(by) === inWords(0) ? '' : `${sign}${inWords(by)}`
}

/** The counts that runs are compared by. */
const OUTCOMES = ['detected', 'delivered', 'rejected', 'unknown', 'unsent'] as const

/** A trigger that neither run has, and an outcome that both lack, has no line. */
export function comparedRows(runs: Two<RunView>): readonly ComparedLine[] {
  const { before, after } = runs
  const whole = [
    line('Rows read', { before: before.rowsRead, after: after.rowsRead }, count),
    line('Invalid rows', { before: before.rowsInvalid, after: after.rowsInvalid }, count),
  ]
  const old = new Map(triggersOf(before))
  const now = new Map(triggersOf(after))
  const triggers = [...new Set([...old.keys(), ...now.keys()])].flatMap(trigger =>
    OUTCOMES.flatMap(outcome => {
      const values = { before: old.get(trigger)?.[outcome] ?? 0, after: now.get(trigger)?.[outcome] ?? 0 }
      const isShown = outcome === 'detected' || outcome === 'delivered' || values.before + values.after > 0
      return isShown ? [line(`${trigger}, ${outcome}`, values, count)] : []
    }),
  )
  return [...whole.filter(({ what, ...each }) => what === 'Rows read' || each.difference !== ''), ...triggers]
}

export function comparedTimes(runs: Two<RunView>): readonly ComparedLine[] {
  const phases = Object.entries(PHASE_NAMES).flatMap(([phase, name]) => {
    const values = both(runs, run => phaseMs(run, phase))
    return values.before === null && values.after === null ? [] : [line(name, values, duration)]
  })
  return [
    line('Whole run', both(runs, tookMs), duration),
    ...phases,
    line('Rows delivered per second', both(runs, deliveredPerSecond), inTenths),
  ]
}

export function comparedLatency(figures: Two<RunFigures>): readonly ComparedLine[] {
  return (['p50', 'p90', 'p99'] as const).map(share =>
    line(
      `Latency ${share}`,
      both(figures, ({ latencyMs }) => latencyMs[share]),
      duration,
    ),
  )
}

export function comparedStatuses(answers: Two<RunAnswers>): readonly ComparedLine[] {
  const all = [...answers.before.statuses, ...answers.after.statuses].map(({ status }) => status)
  const sorted = [...new Set(all)].sort((one, other) => (one ?? 0) - (other ?? 0))
  return sorted.map(status => {
    const values = both(
      answers,
      ({ statuses }) => statuses.find(each => each.status === status)?.attempts ?? 0,
    )
    return line(status === null ? 'No answer' : `HTTP ${status}`, values, count)
  })
}

type Failure = RunAnswers['errors'][number]

export interface ComparedErrors {
  /** Only the later run has these. */
  readonly come: readonly Failure[]
  readonly gone: readonly Failure[]
  readonly stayed: readonly (Failure & { readonly attemptsBefore: number })[]
}

export function comparedErrors({ before, after }: Two<RunAnswers>): ComparedErrors {
  const old = new Map(before.errors.map(each => [reasonOf(each), each]))
  const now = new Set(after.errors.map(reasonOf))
  return {
    come: after.errors.filter(each => !old.has(reasonOf(each))),
    gone: before.errors.filter(each => !now.has(reasonOf(each))),
    stayed: after.errors.flatMap(each => {
      const known = old.get(reasonOf(each))
      return known === undefined ? [] : [{ ...each, attemptsBefore: known.attempts }]
    }),
  }
}

/** Numbers in a message do not count, as in the groups of the server. */
export function reasonOf({ outcome, status, error }: Failure): string {
  return JSON.stringify([outcome, status, error?.replaceAll(/\d+/g, '0') ?? null])
}

const both = <T, V>({ before, after }: Two<T>, of: (one: T) => V): Two<V> => ({
  before: of(before),
  after: of(after),
})

function tookMs({ startedAt, endedAt }: RunView): number | null {
  return startedAt === null || endedAt === null ? null : Date.parse(endedAt) - Date.parse(startedAt)
}

function phaseMs({ phases = [] }: RunView, name: string): number | null {
  const found = phases.find(({ phase }) => phase === name)
  if (found === undefined || found.endedAt === null) return null
  return Date.parse(found.endedAt) - Date.parse(found.startedAt)
}

/** A slow run delivers less than a row a second. */
const inTenths: InWords = value => (value < 10 ? value.toFixed(1) : count(Math.round(value)))
const SECOND_MS = 1_000

function deliveredPerSecond(run: RunView): number | null {
  const took = tookMs(run)
  return took === null || took === 0 ? null : (totalsOf(run).delivered * SECOND_MS) / took
}
