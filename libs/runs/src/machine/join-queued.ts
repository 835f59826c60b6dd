/**
 * The runs that wait in a queue (R13). A run that is asked for joins a queued one that does as much. Any
 * other waits beside it. Each decision of a person has a run of its own, and goes before the ordinary run,
 * which sees what the decisions have left.
 */
import type { RunScope } from '@sluice/contracts/records'
import { isRetryOfSome, type RunState } from './run-events.ts'

/** People give fewer decisions than this while one run lasts. */
export const MAX_QUEUED = 10

/**
 * Returns the run that goes next. The order follows from the events alone, so that each owner finds the same.
 */
export function nextOf(queued: readonly RunState[]): RunState | undefined {
  return queued.toSorted(
    (one, other) => Number(isOrdinary(one)) - Number(isOrdinary(other)) || one.command - other.command,
  )[0]
}

/**
 * Returns the queued run that also does what is asked; null if none does. Ordinary runs see the same rows
 * whatever their cause. A resync, and a retry of a whole sync, see all of these rows, too. Two equal
 * decisions become one, about all that either is about.
 */
export function joinQueued(queued: readonly RunState[], asked: RunState): RunState | null {
  const seesAll = (run: RunState): boolean =>
    ['manual', 'schedule', 'retry', 'resync'].includes(run.cause) && !isRetryOfSome(run)
  if (isOrdinary(asked)) return queued.find(seesAll) ?? null
  const same = queued.find(({ cause, scope }) => cause === asked.cause && meansTheSame(scope, asked.scope))
  if (same === undefined || asked.cause === 'replay' || asked.cause === 'reset') return null
  const { upTo, upToSlices } = laterBound(same, asked)
  const isSame = same.upTo === upTo && (same.upToSlices ?? null) === upToSlices
  return isSame ? same : { ...same, upTo, upToSlices }
}

type Bound = Pick<RunState, 'upTo' | 'upToSlices'>

/**
 * Returns the later run, or of the same run the later slice of each partition. Without slices it is all of
 * it.
 */
function laterBound(one: Bound, other: Bound): Required<Bound> {
  const [later, earlier] = (one.upTo ?? -1) >= (other.upTo ?? -1) ? [one, other] : [other, one]
  const { upTo, upToSlices = null } = later
  if (upTo !== earlier.upTo || upToSlices === null) return { upTo, upToSlices }
  const others = earlier.upToSlices ?? null
  if (others === null) return { upTo, upToSlices: null }
  const isBehind = others.some((slice, partition) => slice > (upToSlices[partition] ?? 0))
  if (!isBehind) return { upTo, upToSlices }
  return { upTo, upToSlices: upToSlices.map((slice, partition) => Math.max(slice, others[partition] ?? 0)) }
}

/** Returns the queue with this run, in place of the run's earlier event. */
export function withQueued(queued: readonly RunState[], run: RunState): readonly RunState[] {
  return [...queued.filter(({ runId }) => runId !== run.runId), run]
}

function isOrdinary({ cause }: Pick<RunState, 'cause'>): boolean {
  return cause === 'manual' || cause === 'schedule'
}

function meansTheSame(a: RunScope | null, b: RunScope | null): boolean {
  const isSameGroup = (a?.group ?? null) === (b?.group ?? null)
  return a?.as === b?.as && a?.key === b?.key && a?.status === b?.status && isSameGroup
}
