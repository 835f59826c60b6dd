/** The counts of a diff, before anything is delivered. */
import type { CountsByOp, Op, OpCounts } from '@sluice/contracts/state'
import type { DiffRequest } from '../../port.ts'
import type { FoundChanges } from './find-changes.ts'

export function countsOf(request: DiffRequest, found: FoundChanges): CountsByOp {
  const counts: { [op in Op]?: OpCounts } = {}
  for (const op of request.opsWithTrigger)
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
