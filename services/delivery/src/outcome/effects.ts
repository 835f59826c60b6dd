/**
 * What a finished request writes beside its attempt: retry entries for rows that were not delivered,
 * tombstones for rows that are delivered now, and the values captured from its answer.
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
import { withTaint } from '@sluice/domain/answers/outcome'
import {
  type EndedRows,
  type RequestHistory,
  type UnownedAttempt,
  NEVER_SENT,
  type PartHistory,
} from '../ledger/request-history.ts'
import { rowsAt, isTainted } from '../ledger/parts.ts'
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

interface Closed {
  readonly outcome: Outcome
  readonly answered: boolean
  readonly status: number | null
  readonly idempotencyKey: string | null
  readonly error: string
  /** Rows whose outcome differs. */
  readonly rows: readonly RowResult[]
}

/**
 * What a request, or a part of one, comes to that is tried no more, though it is not finished (PROTOCOL.md
 * §8, §11).
 *
 * A request that waits for its next try comes to what its last try had. One that was never tried is unsent,
 * and so is one of which the API has seen nothing but a token that it refused.
 *
 * If a predecessor may have sent it once more, the last try is not known. The outcome is then unknown, and
 * the key is that of the next try: a try that nobody saw went out under it.
 */
export function closeRequest(
  history: PartHistory,
  of: {
    readonly trigger: Op
    /** Its rows. */
    readonly rows: readonly Pick<RequestRow, 'seq'>[]
    /** The key that the next try would have. */
    readonly nextKey: string | null
    /** True if an earlier run sent the very same request, and nobody knows what became of it. */
    readonly repeatsEarlier: boolean
    readonly why: string
    /** True if attempts have tokens, which the API may refuse. */
    readonly hasTokens?: boolean
  },
): Closed {
  const { unseen } = history
  const { nextKey, repeatsEarlier, why, rows, hasTokens = false } = of
  const said = history.last?.error ?? null
  const error = said === null ? why : `${said} (${why})`
  const last = hasTokens && history.tokenRefused ? null : history.last
  const outcomes = outcomesOf({ ...history, last }, of)
  if (last !== null && last.outcome !== 'throttled' && !unseen) {
    const { answered, status, idempotencyKey } = last
    return { ...outcomes, answered, status, idempotencyKey, error }
  }
  const doubted = repeatsEarlier || rows.some(row => isTainted(history.tainted, row))
  return {
    ...outcomes,
    answered: false,
    status: history.last?.status ?? null,
    idempotencyKey: doubted ? nextKey : null,
    error,
  }
}

/** Each row comes to what its last try had: the outcome of the first, and the rows that differ. */
function outcomesOf(
  { last, tainted, unseen }: PartHistory,
  { rows, trigger, repeatsEarlier }: Parameters<typeof closeRequest>[1],
): Pick<Closed, 'outcome' | 'rows'> {
  const known = last === null || unseen ? null : last
  const own = new Map(known?.rows.map(row => [row.seq, row]))
  const each = rows.map(row => {
    const { outcome = sentOutcome(known), error = null } = own.get(row.seq) ?? {}
    const doubted = isTainted(tainted, row) || (known === null && repeatsEarlier)
    return { seq: row.seq, outcome: withTaint(outcome, doubted, trigger), error, captured: null }
  })
  const outcome = each[0]?.outcome ?? 'unsent'
  return { outcome, rows: each.filter(row => row.outcome !== outcome || row.error !== null) }
}

function sentOutcome(last: PartHistory['last']): Outcome {
  return last === null || last.outcome === 'throttled' ? 'unsent' : last.outcome
}
