/** A run as it was played on the pipeline: its command, the model's rows, and its result. */
import type { RunEvent } from '@sluice/contracts/records'
import { comparedColumns, type PipelineRun } from './pipeline-plan.ts'
import type { Row } from './plan.ts'

export interface PlayedRun {
  readonly plan: PipelineRun
  readonly rows: ReadonlyMap<string, Row>
  /** It took the rows as being at the destination. */
  readonly baseline: boolean
  /** A row that failed in this many runs is passed over. Null: never. */
  readonly giveUpAfter: number | null
  /** True if a process died between the command and the end of the run that it asked for. */
  readonly died: boolean
  /** The last run before the command that it was asked for by. */
  readonly askedAfter: number
  readonly event: RunEvent
}

/** A row with all of its columns. */
export interface WholeRow {
  readonly [column: string]: unknown
}

/** The row that the model has for a key, as a change carries it; null for none. */
export function modelRow({ plan, rows }: PlayedRun, key: string): WholeRow | null {
  const row = rows.get(key)
  if (row === undefined) return null
  return { id: key, v: row.v, w: row.w, ...(plan.extraColumn ? { x: 7 } : {}) }
}

export function comparedIn({ plan }: PlayedRun): readonly string[] {
  return comparedColumns(plan)
}
