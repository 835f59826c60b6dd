/**
 * Computes the next state of an alert, and its new notices, from the stored state and the facts of a sync. It
 * does no I/O and reads no clock.
 *
 * - A condition has one notice when it begins, and one when it is over.
 * - An evaluation looks at each run that ended since the last evaluation, in order. If a condition came and
 *   went several times in between, only its last beginning and its last end have notices.
 * - The caller stores the new state, with the notices in its outbox, before it sends any of them.
 */
import { createHash } from 'node:crypto'
import type { AlertNotice } from '@sluice/contracts/specs/alert-views'
import type { AlertSpec } from '@sluice/contracts/resources'
import {
  conditionName,
  type AlertCondition,
  type AlertConditionName,
} from '@sluice/contracts/specs/alert-specs'
import { noticeOf, type ConditionChange } from '../notice/notice-of.ts'
import { newAlertState, type AlertState, type Firing } from './alert-state.ts'
import type { EndedRun, SyncFacts } from './facts.ts'
import { dueAt, judge, type Step } from './judge.ts'

/** At most this many notices of one alert and sync wait. Older ones are dropped. */
const MAX_WAITING = 20

export interface EvaluateOptions {
  readonly alert: AlertSpec
  readonly facts: SyncFacts
  /** Null if the alert has not watched the sync yet. */
  readonly state: AlertState | null
  /** Ms since 1970. */
  readonly now: number
}

export interface Evaluated {
  readonly state: AlertState
  /** The new notices in the outbox. */
  readonly notices: readonly AlertNotice[]
  /** The time to evaluate again even if nothing happens; null to wait until something does. */
  readonly dueAt: number | null
}

export function evaluate({ alert, facts, state: before, now }: EvaluateOptions): Evaluated {
  const known = before ?? newAlertState(now)
  const news =
    before === null ? lastDecisiveRun(facts.ended) : facts.ended.filter(run => isAfter(run, known.seen))
  const success = (before === null ? facts.ended : news).findLast(({ status }) => status === 'success')
  // A success in the future was recorded before the clock was set back. The time without success then counts
  // from now.
  const lastSuccessAt = earlier(success?.endedAt ?? known.lastSuccessAt, now)
  const resumedAt = Math.min(known.paused && !facts.paused ? now : known.resumedAt, now)
  const watchedSince = Math.min(known.watchedSince, now)
  const quietSince = Math.max(lastSuccessAt ?? watchedSince, resumedAt, 0)
  const present = { kind: 'now', now, facts, quietSince, hadSuccess: lastSuccessAt !== null } as const
  const steps: Step[] = [
    ...news.map((run): Step => ({ kind: 'ended', run, refusal: facts.refusals.get(run.id) ?? null })),
    present,
  ]
  const firing: { [condition in AlertConditionName]?: Firing } = {}
  const changes: ConditionChange[] = []
  for (const condition of alert.when) {
    const name = conditionName(condition)
    const after = follow(condition, steps, { before: known.firing[name] ?? null, now })
    if (after.firing !== null) firing[name] = after.firing
    changes.push(...after.changes.map(each => ({ ...each, condition: name })))
  }
  const last = facts.ended.at(-1)
  const number = Math.max(known.seen?.number ?? -1, ...facts.ended.map(run => run.number ?? -1))
  const seen = last === undefined ? known.seen : { endedAt: last.endedAt, run: last.id, number: null }
  const furthest = isAhead(known.seen, seen) ? known.seen : seen
  const { serial } = known
  const notices = changes.map((each, index) => {
    const id = noticeId([alert.name, facts.sync, known.watchedSince, serial + index + 1])
    return noticeOf({ id, alert: alert.name, sync: facts.sync, change: each, now })
  })
  const waiting = [...known.outbox, ...notices]
  const outbox = waiting.slice(-MAX_WAITING)
  const state: AlertState = {
    ...known,
    ...{ serial: serial + notices.length, lastSuccessAt, firing, outbox },
    dropped: known.dropped + waiting.length - outbox.length,
    ...{ watchedSince, paused: facts.paused, resumedAt },
    seen: furthest === null ? null : { ...furthest, number: number < 0 ? null : number },
  }
  const due = alert.when.flatMap(condition => dueAt(condition, present) ?? [])
  return { state, notices, dueAt: due.length === 0 ? null : Math.min(...due) }
}

/**
 * True if a restart could not compute the new state from the stored state and the runs. That is so if a
 * notice is new. It is also so if other runs followed the last success, since that run may be deleted by
 * then.
 */
export function mustBeStored(stored: AlertState | null, state: AlertState): boolean {
  if (stored === null || stored.serial !== state.serial) return true
  if (stored.paused !== state.paused || stored.resumedAt !== state.resumedAt) return true
  if (JSON.stringify(stored.firing) !== JSON.stringify(state.firing)) return true
  if (stored.lastSuccessAt === state.lastSuccessAt) return false
  return state.seen !== null && state.lastSuccessAt !== state.seen.endedAt
}

/** Follows one condition through the steps. */
function follow(
  condition: AlertCondition,
  steps: readonly Step[],
  { before, now }: { readonly before: Firing | null; readonly now: number },
): { readonly firing: Firing | null; readonly changes: readonly Omit<ConditionChange, 'condition'>[] } {
  let firing = before
  const changes: Omit<ConditionChange, 'condition'>[] = []
  for (const step of steps) {
    const verdict = judge(condition, step)
    if (verdict.kind === 'silent' || (verdict.kind === 'holds') === (firing !== null)) continue
    const { text, run } = verdict
    const at = step.kind === 'now' ? now : Math.min(step.run.endedAt, now)
    if (firing === null) {
      firing = { since: at, run: run?.id ?? null, text }
      changes.push({ state: 'firing', at, since: at, text, run })
    } else {
      changes.push({ state: 'recovered', at, since: firing.since, text, run })
      firing = null
    }
  }
  const isAsBefore = (before === null) === (firing === null)
  return { firing, changes: changes.slice(isAsBefore ? -2 : -1) }
}

/** Returns a list with the last run that succeeded or failed. A new alert evaluates no earlier run. */
function lastDecisiveRun(ended: readonly EndedRun[]): readonly EndedRun[] {
  const last = ended.findLast(({ status }) => status !== 'cancelled')
  return last === undefined ? [] : [last]
}

/**
 * Compares numbers first, since a clock may be set back. Compares times too, since a reset restarts the
 * numbers.
 */
function isAfter(run: EndedRun, seen: AlertState['seen']): boolean {
  if (seen === null) return true
  if (run.number !== null && seen.number !== null && run.number > seen.number) return true
  return run.endedAt > seen.endedAt || (run.endedAt === seen.endedAt && run.id > seen.run)
}

/** True if `known` is later than `seen`. That happens if runs were deleted, or if a clock was set back. */
function isAhead(known: AlertState['seen'], seen: AlertState['seen']): boolean {
  return known !== null && (seen === null || known.endedAt > seen.endedAt)
}

function earlier(at: number | null, now: number): number | null {
  return at === null ? null : Math.min(at, now)
}

/** Returns the id of a notice. Two processes that make the same notice give it the same id. */
function noticeId(parts: readonly unknown[]): string {
  return `msg_${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)}`
}
