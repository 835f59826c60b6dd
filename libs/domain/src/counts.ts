import { OPS, type CountsByOp, type Op, type OpCounts, type Outcome } from '@sluice/contracts/state'

const NOTHING: OpCounts = {
  detected: 0,
  delivered: 0,
  rejected: 0,
  unknown: 0,
  unsent: 0,
  requests: 0,
  attempts: 0,
}

/** Counts as records have them, or as a view of a run shows them. */
type SeenCounts = { readonly [op in Op]?: OpCounts | undefined }

/** Returns the counts of one op; zeros if it has none. */
export function countsOf(counts: SeenCounts, op: Op): OpCounts {
  return counts[op] ?? NOTHING
}

/** Adds two sets of counts, by op and field. */
export function addCounts(a: CountsByOp, b: CountsByOp): CountsByOp {
  const sum: { [op in Op]?: OpCounts } = {}
  for (const op of OPS) {
    const left = a[op]
    const right = b[op]
    if (left === undefined && right === undefined) continue
    sum[op] = addOp(left ?? NOTHING, right ?? NOTHING)
  }
  return sum
}

function addOp(a: OpCounts, b: OpCounts): OpCounts {
  return {
    detected: a.detected + b.detected,
    delivered: a.delivered + b.delivered,
    rejected: a.rejected + b.rejected,
    unknown: a.unknown + b.unknown,
    unsent: a.unsent + b.unsent,
    requests: a.requests + b.requests,
    attempts: a.attempts + b.attempts,
  }
}

/**
 * Returns the name of the count that an outcome adds to. `exists` and `missing` count as rejected, but a
 * `missing` removal counts as delivered.
 */
function countNameOf(op: Op, outcome: Outcome): 'delivered' | 'rejected' | 'unknown' | 'unsent' {
  switch (outcome) {
    case 'delivered':
    case 'rejected':
    case 'unknown':
    case 'unsent':
      return outcome
    case 'exists':
      return 'rejected'
    case 'missing':
      return op === 'removed' ? 'delivered' : 'rejected'
    default:
      return outcome satisfies never
  }
}

/** Makes the counts of rows of one op that have the same outcome. */
export function countRows(op: Op, outcome: Outcome, rows: number): CountsByOp {
  return { [op]: { ...NOTHING, [countNameOf(op, outcome)]: rows } }
}

/** Adds up one count of all ops. */
export function totalOf(counts: SeenCounts, name: keyof OpCounts): number {
  return OPS.reduce((sum, op) => sum + countsOf(counts, op)[name], 0)
}

export function detectedRows(counts: SeenCounts): number {
  return totalOf(counts, 'detected')
}

/** Counts the rows that were not delivered, as far as is known. */
export function undeliveredRows(counts: SeenCounts): number {
  return totalOf(counts, 'rejected') + totalOf(counts, 'unknown') + totalOf(counts, 'unsent')
}

/** Counts the rows with an outcome, whatever it is. */
export function finishedRows(counts: SeenCounts): number {
  return totalOf(counts, 'delivered') + undeliveredRows(counts)
}
