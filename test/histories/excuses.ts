/**
 * Keys whose row at the destination need not be the model's, as the topics of a history tell: what was given
 * up or discarded, and what was taken as delivered because its op had no trigger, or because the first run
 * skips what exists. All else that was settled is held against the table of PROTOCOL.md §2.
 */
import type { Change } from '@sluice/contracts/records'
import { decide } from '@sluice/domain/key-state'
import { comparedColumns, NOTHING_BREAKS, type PipelineRun } from './pipeline-plan.ts'
import type { Row } from './plan.ts'

/** A run as it was played: what the model had, and what it did first of all. */
export interface PlayedRun {
  readonly plan: PipelineRun
  readonly rows: ReadonlyMap<string, Row>
  /** It took the rows as being at the destination. */
  readonly baseline: boolean
}

export interface Told {
  readonly changes: readonly Change[]
  /** By number. */
  readonly runs: ReadonlyMap<number, PlayedRun>
  /** The last run in which the API took a request with the key. */
  readonly applied: ReadonlyMap<string, number>
  readonly model: ReadonlyMap<string, Row>
  /** Told of a state that was set without a request, and without a reason. */
  readonly onBroken: (what: string) => void
}

export function excusedKeys(told: Told): ReadonlySet<string> {
  const byKey = Map.groupBy(told.changes, ({ key }) => key)
  return new Set([...byKey].flatMap(([key, changes]) => (isExcused(changes, told) ? [key] : [])))
}

function isExcused(changes: readonly Change[], told: Told): boolean {
  const inOrder = changes.toSorted((a, b) => a.run - b.run)
  const last = inOrder.at(-1)
  if (last === undefined) return false
  const taken = inOrder.findLast(change => isTaken(change, told))
  if (taken !== undefined && taken.run > (told.applied.get(last.key) ?? 0)) return true
  return isMuted(last, told)
}

/** True for a settled change whose state is another than before, as if it had been sent. */
function isTaken(change: Change, { runs, onBroken }: Told): boolean {
  const { key, op, run, before, beforeState, after, settledState } = change
  if (op !== 'settled') return false
  if (beforeState === settledState && isSame(valuesOf(before), valuesOf(after))) return false
  const played = runs.get(run)
  if (played === undefined) throw new Error(`nobody played run ${run}`)
  const row = played.rows.get(key)
  const columns = comparedColumns(played.plan)
  const believed = valuesOf(before)
  const differs = (['v', 'w'] as const).some(
    name => columns.includes(name) && believed?.[name] !== row?.[name],
  )
  const op_ = decide(beforeState, row !== undefined, differs)
  const hasTrigger = op_ !== null && played.plan.triggers.includes(op_)
  if (!played.baseline && (op_ === null || hasTrigger))
    onBroken(`run ${run} settled ${key} as ${String(settledState)}, which was to be ${String(op_)}`)
  return true
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
