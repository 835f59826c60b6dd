/** Notices that requests are missing, so that a run with a gap ends (PROTOCOL.md §11). */
import type { Marker, Request, RunBegin, Slice, Unrenderable } from '@sluice/contracts/records'

/** The progress of a partition through the requests of a run. */
export interface RequestSequence {
  readonly begin: Pick<RunBegin, 'run'>
  /** The seq of the next request. Null before the first one, which may be any request after a takeover. */
  nextSeq: number | null
  /** The seq of the change that comes after the requests so far. */
  nextChange: number
  /** The first change whose outcome is not known, and the reason; null without a gap. */
  fault: { readonly from: number; readonly error: string } | null
}

/**
 * Returns true if nothing is missing before this record. A gap faults the run. All later records are skipped.
 */
export function inSequence(open: RequestSequence, offset: number, record: Request | Unrenderable): boolean {
  if (open.fault !== null) return false
  const expected = open.nextSeq ?? record.seq
  if (record.seq !== expected || record.run !== open.begin.run) {
    const found = `seq ${record.seq} of run ${record.run} follows at offset ${offset}`
    open.fault = { from: open.nextChange, error: `requests lack seq ${expected}: ${found}` }
    return false
  }
  const first = firstChangeOf(record) ?? open.nextChange
  if (first < open.nextChange) {
    // Renderers of two versions, which close batches by different rules, could write requests like these.
    const found = `the rows from ${first} on come again at offset ${offset}`
    open.fault = { from: open.nextChange, error: `request ${record.seq} repeats rows: ${found}` }
    return false
  }
  open.nextSeq = expected + 1
  open.nextChange = (carrierOf(record) ?? record.rows.at(-1)?.seq ?? -1) + 1
  return true
}

/** Faults the run if requests are missing before the end of a slice. Returns true if none is. */
export function endsInSequence(
  open: RequestSequence,
  { slice, count }: Pick<Slice, 'slice' | 'count'>,
): boolean {
  if (open.fault !== null) return false
  open.nextSeq ??= count
  if (open.nextSeq === count) return true
  const error = `requests end after seq ${Number(open.nextSeq) - 1} before the end of slice ${slice}, and ${String(count)} were written`
  open.fault = { from: open.nextChange, error }
  return false
}

function firstChangeOf(record: Request | Unrenderable): number | undefined {
  return carrierOf(record) ?? record.rows[0]?.seq
}

/**
 * Returns the seq of the change that carries a replayed request. The rows of the request have the seqs of the
 * run that recorded it.
 */
function carrierOf(record: Request | Unrenderable): number | undefined {
  return 'replayOf' in record ? record.replayOf?.change : undefined
}

/** Returns the fault of a run at its `run-end`, if requests are missing; else null. */
export function faultOf(
  end: Pick<Marker, 'faultedFrom' | 'error' | 'count'>,
  open: Pick<RequestSequence, 'nextSeq' | 'nextChange'> | null,
): { readonly from: number; readonly error: string } | null {
  if (end.faultedFrom !== null) return { from: end.faultedFrom, error: end.error ?? 'changes are missing' }
  if (open === null || open.nextSeq === null || end.count === open.nextSeq) return null
  const error = `requests end after seq ${open.nextSeq - 1}, and ${String(end.count)} were written`
  return { from: open.nextChange, error }
}
