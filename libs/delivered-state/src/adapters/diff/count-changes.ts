/** The counts of a diff, before anything is delivered. */
import type { CountsByOp, Op, TriggerCounts } from '@sluice/contracts/state'
import type { DiffRequest } from '../../port.ts'
import type { FoundChanges } from './find-changes.ts'

export function countsOf(request: DiffRequest, found: FoundChanges): CountsByOp {
  const counts: { [op in Op]?: TriggerCounts } = {}
  for (const op of request.triggers)
    counts[op] = {
      detected: found[op].rows,
      delivered: 0,
      rejected: 0,
      unknown: 0,
      unsent: 0,
      requests: 0,
      attempts: 0,
    }
  return counts
}
