/**
 * The keys whose row at the destination may differ from the model's, as the topics of a history show. Such a
 * row was given up or discarded. Or it was taken as delivered, because its op had no trigger or the first run
 * skips existing rows.
 */
import type { Change } from '@sluice/contracts/records'
import { comparedColumns, NOTHING_BREAKS } from './pipeline-plan.ts'
import type { Row } from './plan.ts'
import type { PlayedRun } from './played-run.ts'

export interface Told {
  readonly changes: readonly Change[]
  /** By number. */
  readonly runs: ReadonlyMap<number, PlayedRun>
  /** The last run in which the API took a request with the key. */
  readonly applied: ReadonlyMap<string, number>
  readonly model: ReadonlyMap<string, Row>
}

export function excusedKeys(told: Told): ReadonlySet<string> {
  const byKey = Map.groupBy(told.changes, ({ key }) => key)
  return new Set([...byKey].flatMap(([key, changes]) => (isExcused(changes, told) ? [key] : [])))
}

function isExcused(changes: readonly Change[], told: Told): boolean {
  const inOrder = changes.toSorted((a, b) => a.run - b.run)
  const last = inOrder.at(-1)
  if (last === undefined) return false
  const taken = inOrder.findLast(isTaken)
  if (taken !== undefined && taken.run > (told.applied.get(last.key) ?? 0)) return true
  return isMuted(last, told)
}

/** True for a settled change whose state is another than before, as if it had been sent. */
function isTaken({ op, before, beforeState, after, settledState }: Change): boolean {
  if (op !== 'settled') return false
  return beforeState !== settledState || !isSame(valuesOf(before), valuesOf(after))
}

/** True if the last change muted the row that the model still has. */
function isMuted({ key, op, run, muted }: Change, { runs, model }: Told): boolean {
  const played = runs.get(run)
  if (op !== 'settled' || muted === null || played === undefined) return false
  const [then, now] = [comparedColumns(played.plan), comparedColumns(NOTHING_BREAKS)]
  return then.join() === now.join() && isSame(played.rows.get(key) ?? null, model.get(key) ?? null)
}

function valuesOf(row: Change['before']): Row | null {
  return row === null ? null : { v: Number(row['v']), w: Number(row['w']) }
}

function isSame(a: Row | null, b: Row | null): boolean {
  return a?.v === b?.v && a?.w === b?.w
}
