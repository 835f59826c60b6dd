/**
 * The runs that wait in a queue (R13). What is asked for while a run waits that does as much is one with it.
 * Anything else waits beside it: each decision of a person has a run of its own, and goes before the ordinary
 * run, which sees what the decisions have left.
 */
import type { RunScope } from '@sluice/contracts/records'
import { isRetryOfSome, type RunState } from './run-events.ts'

/** Nobody decides so much in the time of a run, and each of them is kept in memory. */
export const MAX_QUEUED = 10

/** The run that goes next. The order follows from the events alone, so that each owner finds the same. */
export function nextOf(queued: readonly RunState[]): RunState | undefined {
  return queued.toSorted(
    (one, other) => Number(isOrdinary(one)) - Number(isOrdinary(other)) || one.command - other.command,
  )[0]
}

/**
 * The queued run that does what is asked, too; null if none does. Ordinary runs see the same rows whatever
 * their cause, and a resync and the retry of a whole sync see all that they see. Two of the same decision are
 * one, about what the later one is about.
 */
export function joinQueued(queued: readonly RunState[], asked: RunState): RunState | null {
  const seesAll = (run: RunState): boolean =>
    ['manual', 'schedule', 'retry', 'resync'].includes(run.cause) && !isRetryOfSome(run)
  if (isOrdinary(asked)) return queued.find(seesAll) ?? null
  const same = queued.find(({ cause, scope }) => cause === asked.cause && meansTheSame(scope, asked.scope))
  if (same === undefined || asked.cause === 'replay' || asked.cause === 'reset') return null
  return (same.upTo ?? -1) >= (asked.upTo ?? -1) ? same : { ...same, upTo: asked.upTo }
}

/** A queue with this run, in the place of its earlier event if it has one. */
export function withQueued(queued: readonly RunState[], run: RunState): readonly RunState[] {
  return [...queued.filter(({ runId }) => runId !== run.runId), run]
}

function isOrdinary({ cause }: Pick<RunState, 'cause'>): boolean {
  return cause === 'manual' || cause === 'schedule'
}

function meansTheSame(a: RunScope | null, b: RunScope | null): boolean {
  return a?.as === b?.as && a?.key === b?.key && a?.status === b?.status
}
