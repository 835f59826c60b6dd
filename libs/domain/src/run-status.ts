import type { RunStatus } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { undeliveredRows } from './counts.ts'

const TERMINAL: ReadonlySet<RunStatus> = new Set(['success', 'warning', 'failed', 'cancelled'])

/** True once nothing more happens to a run. */
export function isEnded(status: RunStatus): boolean {
  return TERMINAL.has(status)
}

/** Returns the status with which a run ends whose partitions have all reported (R14). */
export function endStatus(run: {
  readonly counts: CountsByOp
  readonly rowsInvalid: number
  /** The reason why detection, rendering or infrastructure could not finish; null if they have. */
  readonly error: string | null
  readonly cancelled: boolean
}): RunStatus {
  if (run.error !== null) return 'failed'
  if (run.cancelled) return 'cancelled'
  return run.rowsInvalid > 0 || undeliveredRows(run.counts) > 0 ? 'warning' : 'success'
}
