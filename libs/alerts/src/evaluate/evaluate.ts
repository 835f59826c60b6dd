/**
 * The state of an alert and what is known of a sync give the next state, and the notices to be told. It does
 * no I/O and looks at no clock.
 *
 * - A condition is told when it begins and when it is over, once each.
 * - Each run that ended since the last evaluation is looked at, in order, so that none is passed over. If a
 *   condition came and went several times in between, only its last beginning and its last end are told.
 * - The state that comes back is to be stored before a notice is told. Its outbox has the notices.
 */
import { createHash } from 'node:crypto'
import type { AlertNotice } from '@sluice/contracts/specs/alert-views'
import type { AlertSpec } from '@sluice/contracts/resources'
import {
  conditionName,
  type AlertCondition,
  type AlertConditionName,
} from '@sluice/contracts/specs/alert-specs'
import { noticeOf, type Told } from '../notice/notice-of.ts'
import { newAlertState, type AlertState, type Firing } from './alert-state.ts'
import type { EndedRun, SyncFacts } from './facts.ts'
import { dueAt, judge, type Step } from './judge.ts'

/** Notices of one alert and sync that wait to be told. Beyond, the oldest are given up. */
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
  /** The notices that are new in the outbox. */
  readonly notices: readonly AlertNotice[]
  /** When to evaluate again though nothing happens; null: when something does. */
  readonly dueAt: number | null
}

export function evaluate({ alert, facts, state: before, now }: EvaluateOptions): Evaluated {
  const known = before ?? newAlertState(now)
  const news =
    before === null ? lastThatTells(facts.ended) : facts.ended.filter(run => isAfter(run, known.seen))
  const success = (before === null ? facts.ended : news).findLast(({ status }) => status === 'success')
  // A time to come is one from before the clock was set back. Silence counts from now on.
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
  const told: Told[] = []
  for (const condition of alert.when) {
    const name = conditionName(condition)
    const after = follow(condition, steps, { before: known.firing[name] ?? null, now })
    if (after.firing !== null) firing[name] = after.firing
    told.push(...after.told.map(each => ({ ...each, condition: name })))
  }
  const last = facts.ended.at(-1)
  const number = Math.max(known.seen?.number ?? -1, ...facts.ended.map(run => run.number ?? -1))
  const seen = last === undefined ? known.seen : { endedAt: last.endedAt, run: last.id, number: null }
  const furthest = isAhead(known.seen, seen) ? known.seen : seen
  const { serial } = known
  const notices = told.map((each, index) => {
    const id = noticeId([alert.name, facts.sync, known.watchedSince, serial + index + 1])
    return noticeOf({ id, alert: alert.name, sync: facts.sync, told: each, now })
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
 * True if a restart would not derive the second state from the first and the runs that are known: a notice is
 * new, or the last success may be forgotten by then, since runs without one follow it.
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
): { readonly firing: Firing | null; readonly told: readonly Omit<Told, 'condition'>[] } {
  let firing = before
  const told: Omit<Told, 'condition'>[] = []
  for (const step of steps) {
    const verdict = judge(condition, step)
    if (verdict.kind === 'silent' || (verdict.kind === 'holds') === (firing !== null)) continue
    const { text, run } = verdict
    const at = step.kind === 'now' ? now : Math.min(step.run.endedAt, now)
    if (firing === null) {
      firing = { since: at, run: run?.id ?? null, text }
      told.push({ state: 'firing', at, since: at, text, run })
    } else {
      told.push({ state: 'recovered', at, since: firing.since, text, run })
      firing = null
    }
  }
  const isAsBefore = (before === null) === (firing === null)
  return { firing, told: told.slice(isAsBefore ? -2 : -1) }
}

/** The last run that went through or failed, as a list. Earlier ones are past when an alert is new. */
function lastThatTells(ended: readonly EndedRun[]): readonly EndedRun[] {
  const last = ended.findLast(({ status }) => status !== 'cancelled')
  return last === undefined ? [] : [last]
}

/** The number tells even if a clock was set back, and the time even if a reset has begun to count anew. */
function isAfter(run: EndedRun, seen: AlertState['seen']): boolean {
  if (seen === null) return true
  if (run.number !== null && seen.number !== null && run.number > seen.number) return true
  return run.endedAt > seen.endedAt || (run.endedAt === seen.endedAt && run.id > seen.run)
}

/** True if the first is after the second: the runs were forgotten, or a clock went back. */
function isAhead(known: AlertState['seen'], seen: AlertState['seen']): boolean {
  return known !== null && (seen === null || known.endedAt > seen.endedAt)
}

function earlier(at: number | null, now: number): number | null {
  return at === null ? null : Math.min(at, now)
}

/** Two processes that make the same notice give it the same id. */
function noticeId(of: readonly unknown[]): string {
  return `msg_${createHash('sha256').update(JSON.stringify(of)).digest('hex').slice(0, 32)}`
}
