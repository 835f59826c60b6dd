/** Rows that could not be rendered, as delivery finishes them. */
import type { Unrenderable } from '@sluice/contracts/records'
import { NEVER_SENT, type UnownedAttempt } from '../ledger/request-history.ts'
import type { Target } from '../destination/target.ts'
import { effectsOf, type Effects } from './effects.ts'

/**
 * True for a removal that needs a value which its trigger could have used, had it been captured. No later run
 * could send it either. There are two exceptions.
 *
 * A name that no trigger captures is a typing mistake, and loses no removal. Nor does a row of which it is
 * not known whether it is there, unless its last change was rejected. Its value may be in an answer whose
 * effects are not written yet. Once its last change was rejected they are written, since delivery finishes
 * the requests of an earlier run in the partition before those of a later one.
 */
export function isForgotten({ trigger, lacks, rows }: Unrenderable, { captures }: Target): boolean {
  if (trigger !== 'removed' || typeof lacks !== 'string') return false
  if (rows.some(({ uncertain, retried }) => uncertain && retried?.outcome !== 'rejected')) return false
  return [...captures.added, ...captures.changed].some(({ name }) => name === lacks)
}

/** Attempt 0: rows that could not be rendered were never sent. */
export function unrenderableAttempt(
  offset: number,
  record: Unrenderable,
  { runId, forgets }: { readonly runId: string; readonly forgets: boolean },
): UnownedAttempt {
  return {
    ...NEVER_SENT,
    run: record.run,
    runId,
    seq: record.seq,
    requestOffset: offset,
    trigger: record.trigger,
    outcome: 'rejected',
    error: forgets ? `${record.error}; the row is taken as gone` : record.error,
    method: '',
    url: '',
    requestHash: '',
    idempotencyKey: null,
    startedAt: Date.now(),
  }
}

/**
 * What finishes the record at that offset: the attempt that is to be written, which is null if `recorded` has
 * been written before, and what follows from it.
 */
export function unrenderableEnd(
  offset: number,
  record: Unrenderable,
  of: { readonly runId: string; readonly target: Target; readonly recorded: UnownedAttempt | null },
): { readonly attempt: UnownedAttempt | null; readonly effects: Effects } {
  const { runId, target, recorded } = of
  const forgets = isForgotten(record, target)
  const made = recorded ?? unrenderableAttempt(offset, record, { runId, forgets })
  const ended = [{ positions: null, attempt: made, attempts: 0 }]
  const { run, trigger, rows } = record
  const none = { attempts: 0, requests: 0, replayOf: null }
  const effects = effectsOf({ run, trigger, rows, ...none, ended, forgets })
  return { attempt: recorded === null ? made : null, effects }
}
