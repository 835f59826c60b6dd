/**
 * Settles the rows of an attempt: decides which are finished, and in which parts the others go on
 * (PROTOCOL.md §8). It is a pure decision. The attempt records it for successors.
 */
import type { NextPart, RequestRow, RowResult } from '@sluice/contracts/records'
import type { Op, Outcome } from '@sluice/contracts/state'
import { withUncertainty, type Verdict } from '@sluice/domain/answers/outcome'
import { isUncertain, type PartHistory } from '../ledger/request-history.ts'
import type { RowJudgement } from './judge-answer.ts'

/** The retries that failed rows may get in this run. */
export interface AllowedRetries {
  /** Returns the pause before the next attempt, in ms; null if none follows. `made` includes this attempt. */
  readonly pauseMs: (failed: { readonly verdict: Verdict; readonly made: number }) => number | null
  /** True if a rejected batch may be divided. */
  readonly splits: boolean
  /** Returns the longest wait of rows that go on, in ms. No longer wait begins. Default: an hour. */
  readonly mostMs?: () => number
  /**
   * True if only the token was refused. All rows are sent again at once with a new one, which uses up no
   * retry.
   */
  readonly onlyTokenRefused?: boolean
  /**
   * True for a request that a replay sends again unchanged. It gets one attempt and is never divided. The
   * next run sends what its rows still need.
   */
  readonly isReplay?: boolean
}

export interface Settled {
  readonly outcome: Verdict['outcome']
  readonly rows: readonly RowResult[]
  /** The parts in which rows go on. Null if all rows go on together, or none goes on. */
  readonly parts: readonly NextPart[] | null
  /**
   * The pause until the first of the rows that go on is sent again, in ms. Null if none goes on, or all are
   * throttled.
   */
  readonly waitMs: number | null
  /** True if the destination has to pause, since rows were throttled. */
  readonly throttles: boolean
}

/** Statuses that mean that a batch is too large, or that something in it is wrong. */
const SPLIT_STATUSES: ReadonlySet<number> = new Set([400, 413, 422])

/** A longer wait leaves the rows to the next run. */
const MAX_WAIT_MS = 3_600_000

interface JudgedRequest {
  readonly trigger: Op
  readonly rows: readonly RequestRow[]
  readonly history: PartHistory
  readonly verdict: Verdict
  readonly status: number | null
  /** The judgements of single rows, by their position among the rows that were sent. */
  readonly judged: ReadonlyMap<number, RowJudgement>
}

interface Row {
  readonly position: number
  readonly seq: number
  readonly isNamed: boolean
  readonly verdict: Verdict['outcome']
  /** True if the rule that decided on the row leaves it to the next run. */
  readonly waitsForNextRun: boolean
  /** A failure of an uncertain row is unknown. A throttled row is unsent. */
  readonly outcome: Outcome
  readonly error: string | null
  readonly captured: string | null
}

/** The usual case: all rows were delivered. */
const ARRIVED: Settled = { outcome: 'delivered', rows: [], parts: null, waitMs: null, throttles: false }
const PART_ARRIVED: Settled = { ...ARRIVED, parts: [] }

export function settleRows(sent: JudgedRequest, retries: AllowedRetries): Settled {
  const { verdict, history, judged } = sent
  if (verdict.outcome === 'delivered' && judged.size === 0 && sent.rows.length > 0)
    return history.positions === null ? ARRIVED : PART_ARRIVED
  const rows = rowsOf(sent)
  const throttles = verdict.outcome === 'throttled' || rows.some(row => row.verdict === 'throttled')
  if (rows.every(row => row.verdict === 'throttled'))
    return { outcome: 'throttled', rows: [], parts: null, waitMs: null, throttles }
  const parts = retries.onlyTokenRefused === true ? sameRowsAgain(sent, rows) : partsOf(sent, rows, retries)
  const outcome = outcomeOf(sent, rows)
  const open = new Set(parts.flatMap(part => part.rows))
  const isOwn = (row: Row): boolean => row.outcome !== outcome || row.error !== null || row.captured !== null
  const some = rows.some(isOwn)
  const listed = some
    ? rows.filter(row => isOwn(row) || (row.outcome === 'unknown' && open.has(row.position)))
    : []
  const results = outcome === 'throttled' ? listed.filter(({ isNamed }) => isNamed) : listed
  const common = {
    outcome,
    rows: results.map(({ seq, outcome: own, error, captured }) => ({ seq, outcome: own, error, captured })),
    throttles,
  }
  const [only] = parts
  if (only === undefined) return { ...common, parts: history.positions === null ? null : [], waitMs: null }
  if (parts.length === 1 && only.rows.length === rows.length) {
    const isPlain =
      results.length === 0 && only.tries === history.tries + 1 && verdict.outcome !== 'throttled'
    if (isPlain) return { ...common, parts: null, waitMs: only.waitMs }
    return { ...common, parts: [{ ...only, rows: null }], waitMs: only.waitMs }
  }
  return { ...common, parts, waitMs: Math.min(...parts.map(part => part.waitMs)) }
}

function rowsOf({ trigger, rows, history, verdict, judged }: JudgedRequest): readonly Row[] {
  return rows.map((row, index) => {
    const own = judged.get(index)
    const came = own?.outcome ?? verdict.outcome
    const uncertain = isUncertain(history.uncertain, row)
    const outcome = withUncertainty(came === 'throttled' ? 'unsent' : came, uncertain, trigger)
    return {
      position: history.positions?.[index] ?? index,
      seq: row.seq,
      isNamed: own !== undefined && own.outcome !== null,
      verdict: came,
      waitsForNextRun:
        own !== undefined && own.outcome !== null
          ? own.waitsForNextRun === true
          : verdict.waitsForNextRun === true,
      outcome,
      error: own?.error ?? null,
      captured: outcome === 'delivered' ? (own?.captured ?? null) : null,
    }
  })
}

/**
 * Returns the outcome of the rows if all have the same, else the outcome of the request. A throttled answer
 * that names every row has decided on all of them. So it counts as an attempt like any other.
 */
function outcomeOf(
  { verdict, history, rows: sent, trigger }: JudgedRequest,
  rows: readonly Row[],
): Settled['outcome'] {
  const came = verdict.outcome
  if (came === 'throttled' && rows.some(row => row.verdict === came)) return came
  const first = rows[0]?.outcome ?? 'unsent'
  if (came === 'throttled' || rows.every(row => row.outcome === first)) return first
  return withUncertainty(
    came,
    sent.every(row => isUncertain(history.uncertain, row)),
    trigger,
  )
}

function sameRowsAgain({ history }: JudgedRequest, rows: readonly Row[]): readonly OpenPart[] {
  return [{ rows: rows.map(({ position }) => position), tries: history.tries, waitMs: 0 }]
}

type OpenPart = NextPart & { readonly rows: readonly number[] }

function partsOf(
  { history, verdict, status }: JudgedRequest,
  rows: readonly Row[],
  retries: AllowedRetries,
): readonly OpenPart[] {
  if (retries.isReplay === true) return []
  const { tries } = history
  const pauseMs = verdict.retryAfterMs ?? 0
  const mostMs = Math.max(0, retries.mostMs?.() ?? MAX_WAIT_MS)
  const isWrong = verdict.outcome === 'rejected' && status !== null && SPLIT_STATUSES.has(status)
  const divides = retries.splits && isWrong && rows.length > 1 && pauseMs <= mostMs
  const pauses = new Map<string, number | null>()
  const pauseAfter = ({ isNamed, verdict: outcome, waitsForNextRun }: Row): number | null => {
    const kind = `${String(isNamed)}/${outcome}/${String(waitsForNextRun)}`
    const own = isNamed ? { ...verdict, answered: true, outcome, waitsForNextRun } : verdict
    const known = pauses.get(kind)
    if (known !== undefined) return known
    const ms = retries.pauseMs({ verdict: own, made: tries + 1 })
    pauses.set(kind, ms)
    return ms
  }
  const divided: number[] = []
  const throttled: number[] = []
  const again: number[] = []
  let againMs = 0
  for (const row of rows) {
    if (divides && !row.isNamed) divided.push(row.position)
    else if (row.verdict === 'throttled') throttled.push(row.position)
    else {
      const ms = pauseAfter(row)
      if (ms === null || ms > mostMs) continue
      again.push(row.position)
      againMs = Math.max(againMs, ms)
    }
  }
  const middle = divided.length === rows.length ? Math.ceil(divided.length / 2) : divided.length
  return [
    { rows: divided.slice(0, middle), tries, waitMs: pauseMs },
    { rows: divided.slice(middle), tries, waitMs: pauseMs },
    { rows: throttled, tries, waitMs: 0 },
    { rows: again, tries: tries + 1, waitMs: againMs },
  ].filter(part => part.rows.length > 0)
}
