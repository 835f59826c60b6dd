/**
 * Computes the effects of a finished request, which delivery writes beside its attempts: retry entries for
 * rows that were not delivered, tombstones for rows that are delivered now, and the values captured from its
 * answer.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type {
  Captured,
  Request,
  RequestRow,
  RetryEntry,
  RowResult,
  Unrenderable,
} from '@sluice/contracts/records'
import type { CountsByOp, Op, Outcome } from '@sluice/contracts/state'
import { boundedOrNull } from '@sluice/domain/bounded-text'
import { mergeCaptured } from '@sluice/domain/answers/captured'
import { addCounts, countRows } from '@sluice/domain/counts'
import { ROW_ERROR_BYTES } from '@sluice/domain/record-sizes'
import { withUncertainty } from '@sluice/domain/answers/outcome'
import {
  type EndedRows,
  type RequestHistory,
  type UnownedAttempt,
  NEVER_SENT,
  type PartHistory,
  rowsAt,
  isUncertain,
} from '../ledger/request-history.ts'
import type { Target } from '../destination/target.ts'

export interface Effects {
  /** By key; null is a tombstone. The writer adds owner and incarnation. */
  readonly retry: readonly { readonly key: string; readonly entry: UnownedEntry | null }[]
  /** By key; null is a tombstone. The writer adds owner and incarnation. */
  readonly captured: readonly { readonly key: string; readonly values: UnownedCaptured | null }[]
  readonly counts: CountsByOp
}

export type UnownedEntry = Omit<RetryEntry, 'incarnation' | 'owner'>

type UnownedCaptured = Omit<Captured, 'incarnation' | 'owner'>

export interface FinishedRequest {
  readonly run: number
  readonly trigger: Op
  readonly rows: readonly RequestRow[]
  /**
   * The attempts to send it in this run, and the number of different parts sent, including the whole request.
   */
  readonly attempts: number
  readonly requests: number
  /** The attempts that finished its rows. The last one with a row counts for it. */
  readonly ended: readonly EndedRows[]
  /**
   * True for removals that need a value which was never captured, so that no run can ever send them. Their
   * rows are taken as gone (PROTOCOL.md §2), though they count as rejected.
   */
  readonly forgets?: boolean
  /** Rows, by seq, that stay open for good, since their run is over. They have no effects. */
  readonly stillOpen?: ReadonlySet<number>
  /**
   * Set if a replay sends the request again. The replay has settled the rows as uncertain, and they stay so,
   * whatever the outcome. So delivery writes only the counts.
   */
  readonly replayOf: Request['replayOf']
}

/**
 * Computes the effects from request and attempts alone. So a successor that reads these from the topics
 * writes the same effects.
 */
export function effectsOf(finished: FinishedRequest): Effects {
  const { rows, run, forgets = false, stillOpen } = finished
  const endOf = endsOf(finished)
  const retry: { key: string; entry: UnownedEntry | null }[] = []
  const captured: { key: string; values: UnownedCaptured | null }[] = []
  let counts = requestCounts(finished)
  const perOutcome = new Map<Outcome, number>()
  for (const row of rows) {
    if (stillOpen?.has(row.seq) === true) continue
    const end = endOf(row)
    if (end === undefined) throw new SluiceError('internal', `row ${row.seq} of a finished request is open`)
    const { own, outcome } = end
    perOutcome.set(outcome, (perOutcome.get(outcome) ?? 0) + 1)
    const isGone = forgets || isMissing(row.op, outcome)
    const values = keptValues(row, { outcome, isGone, now: own?.captured ?? null })
    if (values !== 'as before')
      captured.push({ key: row.key, values: values === null ? null : { run, seq: row.seq, values } })
    if (!forgets && !isArrived(row.op, outcome)) retry.push({ key: row.key, entry: entryOf(run, row, end) })
    else if (row.retried !== null) retry.push({ key: row.key, entry: null })
  }
  for (const [outcome, n] of perOutcome) counts = addCounts(counts, countRows(finished.trigger, outcome, n))
  if (isReplayed(finished)) return { retry: [], captured: [], counts }
  return { retry, captured, counts }
}

/** Returns the effects of a request if an earlier owner has recorded all of its attempts; else null. */
export function answeredEffects(request: Request, history: RequestHistory | undefined): Effects | null {
  if (history === undefined || history.parts.length > 0) return null
  const { attempts, requests, ended } = history
  return effectsOf({ ...request, attempts, requests, ended })
}

/** True for a request that a replay sends again. Records of earlier versions lack the field. */
export function isReplayed({ replayOf }: Pick<FinishedRequest, 'replayOf'>): boolean {
  return replayOf !== null && replayOf !== undefined
}

/** The end of a row: its outcome, and the attempt that decided it. */
interface RowEnd {
  readonly outcome: Outcome
  readonly own: RowResult | undefined
  readonly attempt: UnownedAttempt
  /** The number of attempts with the row, and the number of rows in the last of them. */
  readonly attempts: number
  readonly together: number
}

/** Returns a lookup of the end of each row; undefined for a row that is open. */
function endsOf({ rows, ended }: FinishedRequest): (row: RequestRow) => RowEnd | undefined {
  const [only] = ended
  if (only !== undefined && ended.length === 1 && only.positions === null && only.attempt.rows.length === 0) {
    const { attempt, attempts } = only
    const outcome = outcomeOfRequest(attempt)
    const end = { outcome, own: undefined, attempt, attempts, together: rows.length }
    return () => end
  }
  const ends = new Map<number, RowEnd>()
  for (const { positions, attempt, attempts } of ended) {
    const byRow = new Map(attempt.rows.map(row => [row.seq, row]))
    const own = rowsAt(rows, positions)
    for (const { seq } of own) {
      const result = byRow.get(seq)
      const outcome = result?.outcome ?? outcomeOfRequest(attempt)
      ends.set(seq, { outcome, own: result, attempt, attempts, together: own.length })
    }
  }
  return ({ seq }) => ends.get(seq)
}

function requestCounts({ trigger, attempts, requests }: FinishedRequest): CountsByOp {
  const none = { detected: 0, delivered: 0, rejected: 0, unknown: 0, unsent: 0 }
  return { [trigger]: { ...none, requests, attempts } }
}

/** A throttled attempt that ends a request has changed nothing. */
function outcomeOfRequest(final: UnownedAttempt): Outcome {
  return final.outcome === 'throttled' ? 'unsent' : final.outcome
}

/** True if the row is delivered. A removal of a row that the API does not have counts as delivered. */
function isArrived(op: Op, outcome: Outcome): boolean {
  return outcome === 'delivered' || (op === 'removed' && outcome === 'missing')
}

/** True if the destination has no row of the key any more. Its captured values then name nothing. */
function isMissing(op: Op, outcome: Outcome): boolean {
  return op === 'removed' ? isArrived(op, outcome) : op === 'changed' && outcome === 'missing'
}

/**
 * Returns the values to keep with the row, as JSON; null to delete them. `now` has the values that the answer
 * gave.
 */
function keptValues(
  row: RequestRow,
  { outcome, isGone, now }: { readonly outcome: Outcome; isGone: boolean; now: string | null },
): string | null | 'as before' {
  // Records of earlier versions lack captured values in their rows.
  const before = typeof row.captured === 'string' ? row.captured : null
  if (isGone) return before === null ? 'as before' : null
  if (outcome !== 'delivered') return 'as before'
  // A row that was certainly not there is created as a new object. Earlier captured values name another
  // object.
  const isNew = row.op === 'added' && !row.uncertain
  const kept = isNew ? null : before
  const values = now === null ? kept : mergeCaptured(kept, now)
  return values === before ? 'as before' : values
}

function entryOf(run: number, row: RequestRow, end: RowEnd): UnownedEntry {
  const { attempt, own, outcome, attempts, together } = end
  return {
    run,
    seq: row.seq,
    op: row.op,
    outcome,
    status: attempt.status,
    error: boundedOrNull(own?.error ?? attempt.error, ROW_ERROR_BYTES),
    idempotencyKey: attempt.idempotencyKey,
    answered: attempt.answered,
    requestHash: attempt.requestHash,
    requestRows: together,
    attempts: (row.retried?.attempts ?? 0) + attempts,
    runs: (row.retried?.runs ?? 0) + 1,
    since: row.retried?.since ?? attempt.startedAt,
  }
}

/**
 * True for a removal that needs a value which one of the triggers could have captured, and did not. No later
 * run could send it either. There are two exceptions:
 *
 * - A name that no trigger captures is a typing mistake. It must not lose removals.
 * - The value of an uncertain row may be in an answer whose effects are not written yet. This does not hold
 *   if the last change of the row was rejected: delivery finishes the requests of an earlier run in the
 *   partition before those of a later one, so these effects are written.
 */
function isForgotten({ trigger, lacks, rows }: Unrenderable, { captures }: Target): boolean {
  if (trigger !== 'removed' || typeof lacks !== 'string') return false
  if (rows.some(({ uncertain, retried }) => uncertain && retried?.outcome !== 'rejected')) return false
  return [...captures.added, ...captures.changed].some(({ name }) => name === lacks)
}

/** Returns the attempt 0 of rows that could not be rendered. */
function unrenderableAttempt(
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
 * Returns the attempt that finishes the unrenderable rows at this offset, and its effects. The attempt is
 * null if a predecessor has written it. `recorded` is then the written attempt.
 */
export function unrenderableEnd(
  offset: number,
  record: Unrenderable,
  run: { readonly runId: string; readonly target: Target; readonly recorded: UnownedAttempt | null },
): { readonly attempt: UnownedAttempt | null; readonly effects: Effects } {
  const { runId, target, recorded } = run
  const forgets = isForgotten(record, target)
  const made = recorded ?? unrenderableAttempt(offset, record, { runId, forgets })
  const ended = [{ positions: null, attempt: made, attempts: 0 }]
  const { trigger, rows } = record
  const none = { attempts: 0, requests: 0, replayOf: null }
  const effects = effectsOf({ run: record.run, trigger, rows, ...none, ended, forgets })
  return { attempt: recorded === null ? made : null, effects }
}

interface Closed {
  readonly outcome: Outcome
  readonly answered: boolean
  readonly status: number | null
  readonly idempotencyKey: string | null
  readonly error: string
  /** The rows whose outcome or error differs from the outcome or error of the request. */
  readonly rows: readonly RowResult[]
}

/**
 * Decides the outcome of a request, or a part of one, that is not sent any more although it is not finished
 * (PROTOCOL.md §8, §11).
 *
 * - A request that waits to be sent again gets the outcome of its last attempt.
 * - A request that was never sent is unsent. A request is also unsent if the API has judged nothing but its
 *   token.
 * - If a predecessor may have sent the request once more, its last attempt is not known. The request is then
 *   unknown. It gets the key of the next attempt, since the unrecorded attempt had that key.
 */
export function closeRequest(
  history: PartHistory,
  options: {
    readonly trigger: Op
    readonly rows: readonly Pick<RequestRow, 'seq'>[]
    /** The key that the next attempt would have. */
    readonly nextKey: string | null
    /** True if an earlier run sent the very same request, which is unknown. */
    readonly repeatsEarlier: boolean
    readonly why: string
    /** True if attempts carry tokens, which the API may refuse. */
    readonly hasTokens?: boolean
  },
): Closed {
  const { maybeSent } = history
  const { nextKey, repeatsEarlier, why, rows, hasTokens = false } = options
  const lastError = history.last?.error ?? null
  const error = lastError === null ? why : `${lastError} (${why})`
  const last = hasTokens && history.tokenRefused ? null : history.last
  const outcomes = outcomesOf({ ...history, last }, options)
  if (last !== null && last.outcome !== 'throttled' && !maybeSent) {
    const { answered, status, idempotencyKey } = last
    return { ...outcomes, answered, status, idempotencyKey, error }
  }
  const mayHaveArrived = repeatsEarlier || rows.some(row => isUncertain(history.uncertain, row))
  return {
    ...outcomes,
    answered: false,
    status: history.last?.status ?? null,
    idempotencyKey: mayHaveArrived ? nextKey : null,
    error,
  }
}

/** Returns the outcome of the first row by its last attempt, and the rows that differ from it. */
function outcomesOf(
  { last, uncertain, maybeSent }: PartHistory,
  { rows, trigger, repeatsEarlier }: Parameters<typeof closeRequest>[1],
): Pick<Closed, 'outcome' | 'rows'> {
  const known = last === null || maybeSent ? null : last
  const own = new Map(known?.rows.map(row => [row.seq, row]))
  const each = rows.map(row => {
    const { outcome = known === null ? 'unsent' : outcomeOfRequest(known), error = null } =
      own.get(row.seq) ?? {}
    const mayHaveArrived = isUncertain(uncertain, row) || (known === null && repeatsEarlier)
    return { seq: row.seq, outcome: withUncertainty(outcome, mayHaveArrived, trigger), error, captured: null }
  })
  const outcome = each[0]?.outcome ?? 'unsent'
  return { outcome, rows: each.filter(row => row.outcome !== outcome || row.error !== null) }
}
