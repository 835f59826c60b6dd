/**
 * What a finished request writes beside its attempt: retry entries for rows that were not delivered,
 * tombstones for rows that are delivered now, and the values captured from its answer.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Captured, Request, RequestRow, RetryEntry, RowResult } from '@sluice/contracts/records'
import type { CountsByOp, Op, Outcome } from '@sluice/contracts/state'
import { boundedOrNull } from '@sluice/domain/bounded-text'
import { mergeCaptured } from '@sluice/domain/answers/captured'
import { addCounts, countRows } from '@sluice/domain/counts'
import { ROW_ERROR_BYTES } from '@sluice/domain/record-sizes'
import type { EndedRows, RequestHistory, UnownedAttempt } from '../ledger/request-history.ts'
import { rowsAt } from '../ledger/parts.ts'

export interface Effects {
  /** By key; null is a tombstone. The writer adds owner and incarnation. */
  readonly retry: readonly { readonly key: string; readonly entry: UnownedEntry | null }[]
  /** By key; null is a tombstone. The writer adds owner and incarnation. */
  readonly captured: readonly { readonly key: string; readonly values: UnownedCaptured | null }[]
  readonly counts: CountsByOp
}

export type UnownedEntry = Omit<RetryEntry, 'incarnation' | 'owner'>

export type UnownedCaptured = Omit<Captured, 'incarnation' | 'owner'>

export interface FinishedRequest {
  readonly run: number
  readonly trigger: Op
  readonly rows: readonly RequestRow[]
  /** Attempts at sending it in this run, and how many different parts were sent, the whole among them. */
  readonly attempts: number
  readonly requests: number
  /** The attempts that finished its rows. The last that has a row counts for it. */
  readonly ended: readonly EndedRows[]
  /**
   * True for removals that need a value which was never captured. Nobody can ever send them. So their rows
   * are taken as gone (PROTOCOL.md §2), though they count as rejected.
   */
  readonly forgets?: boolean
  /** Rows that are open for good, by seq: their run is over. Nothing is written of them. */
  readonly left?: ReadonlySet<number>
  /**
   * Of a request that a replay sends again. Its rows were settled as uncertain before, and stay so whatever
   * became of it. So only its counts are written.
   */
  readonly replayOf: Request['replayOf']
}

/**
 * It follows from request and attempts alone. So a successor that recovers them from the topics writes the
 * same.
 */
export function effectsOf(finished: FinishedRequest): Effects {
  const { rows, run, forgets = false, left } = finished
  const endOf = endsOf(finished)
  const retry: { key: string; entry: UnownedEntry | null }[] = []
  const captured: { key: string; values: UnownedCaptured | null }[] = []
  let counts = requestCounts(finished)
  const perOutcome = new Map<Outcome, number>()
  for (const row of rows) {
    if (left?.has(row.seq) === true) continue
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

/**
 * What the request writes besides, if an earlier owner has written down all answers to it; null if it has
 * not.
 */
export function answeredEffects(request: Request, history: RequestHistory | undefined): Effects | null {
  if (history === undefined || history.parts.length > 0) return null
  const { attempts, requests, ended } = history
  return effectsOf({ ...request, attempts, requests, ended })
}

/** True for a request that a replay sends again. One of an earlier version says nothing of that. */
export function isReplayed({ replayOf }: Pick<FinishedRequest, 'replayOf'>): boolean {
  return replayOf !== null && replayOf !== undefined
}

/** What a row came to. */
interface RowEnd {
  readonly outcome: Outcome
  readonly own: RowResult | undefined
  readonly attempt: UnownedAttempt
  /** In how many attempts the row was, and how many rows the last of them had. */
  readonly attempts: number
  readonly together: number
}

/** Gives what each row came to. */
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

function outcomeOfRequest(final: UnownedAttempt): Outcome {
  return final.outcome === 'throttled' ? 'unsent' : final.outcome
}

/** The outcome of a row. A removal of a row that the API does not know has reached its goal. */
function isArrived(op: Op, outcome: Outcome): boolean {
  return outcome === 'delivered' || (op === 'removed' && outcome === 'missing')
}

/** True if the destination has no row of the key any more, and so none that captured values could name. */
function isMissing(op: Op, outcome: Outcome): boolean {
  return op === 'removed' ? isArrived(op, outcome) : op === 'changed' && outcome === 'missing'
}

/** The values to keep with the row, as JSON; null where they are to be forgotten. */
function keptValues(
  row: RequestRow,
  of: { readonly outcome: Outcome; readonly isGone: boolean; readonly now: string | null },
): string | null | 'as before' {
  // A record that an older version wrote, without captured values in its rows, has none.
  const before = typeof row.captured === 'string' ? row.captured : null
  if (of.isGone) return before === null ? 'as before' : null
  if (of.outcome !== 'delivered') return 'as before'
  // A row that was certainly not there is made again. Its earlier captured values name another object.
  const isNew = row.op === 'added' && !row.uncertain
  const values = of.now === null ? (isNew ? null : before) : mergeCaptured(isNew ? null : before, of.now)
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
