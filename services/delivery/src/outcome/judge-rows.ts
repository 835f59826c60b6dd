/**
 * What an answer says of the single rows of its request: their outcomes, and the values that are kept of
 * them.
 */
import type { Request, RequestRow } from '@sluice/contracts/records'
import type { AnswerBody } from '@sluice/domain/answers/answer-body'
import type { Verdict } from '@sluice/domain/answers/outcome'
import { captureFrom, hasCaptured, type CapturedNow } from '@sluice/domain/answers/captured'
import type { RowAnswer, RowAnswers } from '@sluice/domain/answers/row-results'
import { boundedText } from '@sluice/domain/bounded-text'
import { ROW_ERROR_BYTES } from '@sluice/domain/record-sizes'
import { redactText } from '@sluice/secrets/redact'
import type { Target } from '../destination/target.ts'
import type { Taint } from '../ledger/parts.ts'

export interface Judged extends Pick<Request, 'trigger' | 'rows'> {
  /** The rows of which a try was, or may have been, unknown. */
  readonly tainted: Taint
}

export interface RowJudgement {
  /** Null: that of the request. */
  readonly outcome: Verdict['outcome'] | null
  readonly error: string | null
  /** True if the rule that names it says that another try in the same run would hear the same. */
  readonly waitsForNextRun?: boolean
  /** Values captured from the answer, as JSON; null where there are none. */
  readonly captured: string | null
}

interface Judging {
  readonly request: Judged
  readonly target: Target
  readonly body: AnswerBody
  readonly status: number
  /** That of the request. */
  readonly outcome: Verdict['outcome']
}

/** The most that the attempt of a batch says of its rows: their errors, and the values captured of them. */
const MAX_ERROR_BYTES = 1_000_000
const MAX_CAPTURED_BYTES = 4_000_000

/** Nothing is told of any row. */
export const NO_ROWS: ReadonlyMap<number, RowJudgement> = new Map()
const NONE_NAMED: ReadonlyMap<number, RowAnswer> = new Map()

export function judgeRows(
  told: RowAnswers,
  of: Judging,
): { readonly rows: ReadonlyMap<number, RowJudgement>; readonly odd: string | null } {
  const { request, target } = of
  const named = told.kind === 'told' ? told.rows : NONE_NAMED
  if (named.size === 0 && target.captures[request.trigger].length === 0)
    return { rows: NO_ROWS, odd: told.kind === 'told' ? told.odd : null }
  const rows = new Map<number, RowJudgement>()
  let errorBytes = 0
  let capturedBytes = 0
  let lacking: string | null = null
  // One item may name many rows.
  const kept = new Map<RowAnswer | undefined, CapturedNow>()
  for (const [place, row] of request.rows.entries()) {
    const answer = named.get(place)
    const { values, lacking: lacks } = kept.get(answer) ?? capturedOf(answer, of)
    kept.set(answer, { values, lacking: lacks })
    capturedBytes += Buffer.byteLength(values ?? '')
    const isKept = capturedBytes <= MAX_CAPTURED_BYTES
    lacking ??= isKept
      ? lackingError(lacks, row)
      : 'values of some rows were not captured: there are too many'
    const error = errorBytes > MAX_ERROR_BYTES ? null : errorOf(answer, target)
    errorBytes += error?.length ?? 0
    const captured = isKept ? values : null
    if (answer !== undefined || captured !== null)
      rows.set(place, {
        outcome: answer?.as ?? null,
        error,
        waitsForNextRun: answer?.waitsForNextRun ?? false,
        captured,
      })
  }
  const odd = told.kind === 'told' ? told.odd : null
  return { rows, odd: odd !== null && lacking !== null ? `${odd}; ${lacking}` : (odd ?? lacking) }
}

/**
 * So much of a text is looked at for an error: a secret in it may be longer than its mask. One item may name
 * many rows, each with this text.
 */
export const LOOKED_AT_FOR_ERROR = 4096

/** An item may hold a secret that the API gives back. */
function errorOf(answer: RowAnswer | undefined, target: Target): string | null {
  if (answer === undefined || answer.error === null || answer.as === 'delivered') return null
  return shownReason(answer.error, target)
}

/** A reason that the API gives, without secrets and bounded. */
export function shownReason(reason: string, { secrets }: Target): string {
  const begun = reason.slice(0, LOOKED_AT_FOR_ERROR)
  const cut = begun.length < reason.length
  return boundedText(redactText(begun, secrets, { cut }), ROW_ERROR_BYTES)
}

const NOTHING: CapturedNow = { values: null, lacking: [] }

function capturedOf(
  answer: RowAnswer | undefined,
  { request, target, body, status, outcome }: Judging,
): CapturedNow {
  const captures = target.captures[request.trigger]
  if (captures.length === 0 || (answer?.as ?? outcome) !== 'delivered') return NOTHING
  // A secret is in no topic (R20), and a masked one would be sent to the API as if it were the value.
  const isHidden = (json: string): boolean => isSecret(json, target.secrets)
  if (!target.batched[request.trigger] && request.rows.length === 1)
    return status < 200 || status > 299 ? NOTHING : captureFrom(captures, body, isHidden)
  const json =
    answer === undefined
      ? ({ kind: 'untold', why: 'no item of the answer names the row' } as const)
      : ({ kind: 'json', value: answer.item } as const)
  return captureFrom(captures, { json }, isHidden)
}

/** Tells what later changes of the row may lack; what was captured before is still there. */
function lackingError(lacking: CapturedNow['lacking'], row: RequestRow): string | null {
  const before = typeof row.captured === 'string' ? row.captured : null
  const missing = lacking.filter(({ name }) => !hasCaptured(before, name))
  if (missing.length === 0) return null
  return `delivered, but not captured: ${missing.map(({ name, why }) => `${name} (${why})`).join('; ')}`
}

function isSecret(json: string, secrets: readonly string[]): boolean {
  const bare = json.startsWith('"') ? json.slice(1, -1) : json
  return redactText(json, secrets) !== json || redactText(bare, secrets) !== bare
}
