/**
 * Judges the answer to a request: its meaning, its error for people, and the outcome and the captured values
 * of single rows.
 */
import type { Request, RequestRow } from '@sluice/contracts/records'
import { AnswerBody } from '@sluice/domain/answers/answer-body'
import { meaningOf, reasonAt, type AnswerMeaning } from '@sluice/domain/answers/answer-rules'
import { rowAnswersOf, type RowAnswers, type RowAnswer } from '@sluice/domain/answers/row-results'
import {
  confirmsRemoval,
  verdictAs,
  verdictOfAnswer,
  verdictOfFailure,
  type Answer,
  type Verdict,
} from '@sluice/domain/answers/outcome'
import { tellingPart } from '@sluice/domain/answers/telling-part'
import { captureFrom, hasCaptured, type CapturedNow } from '@sluice/domain/answers/captured'
import { boundedText } from '@sluice/domain/bounded-text'
import { ROW_ERROR_BYTES } from '@sluice/domain/record-sizes'
import type { SendResult } from '@sluice/http-sender/port'
import { redactText } from '@sluice/secrets/redact'
import type { Target } from '../destination/target.ts'
import { isUncertain, type UncertainRows } from '../ledger/request-history.ts'

export interface AnsweredRequest extends Pick<Request, 'trigger' | 'rows'> {
  /** The rows of which an earlier attempt in this run was, or may have been, unknown. */
  readonly uncertain: UncertainRows
}

export interface RowJudgement {
  /** Null if the answer says nothing of this row: then the outcome of the request counts. */
  readonly outcome: Verdict['outcome'] | null
  readonly error: string | null
  /** True if the rule that decided says that a retry in the same run would get the same answer. */
  readonly waitsForNextRun?: boolean
  /** Values captured from the answer, as JSON; null where there are none. */
  readonly captured: string | null
}

export interface Judgement {
  readonly verdict: Verdict
  readonly error: string | null
  /** Rows with a judgement of their own, by their position among the rows that were sent. */
  readonly rows: ReadonlyMap<number, RowJudgement>
}

type Answered = Extract<SendResult, { kind: 'answered' }>

/** The rows of a request whose answer says nothing of single rows. */
const NO_ROWS: ReadonlyMap<number, RowJudgement> = new Map()

/** Judges by the sync's own rules first, and then by the default meaning of the status. */
export function judge(result: SendResult, request: AnsweredRequest, target: Target): Judgement {
  if (result.kind === 'failed') {
    const error = redactText(result.error, target.secrets)
    return { verdict: verdictOfFailure(result.reason), error, rows: NO_ROWS }
  }
  const body = new AnswerBody(result.body, result.cut === true ? cutText(target) : null, target.answerPaths)
  const rowAnswers = rowAnswersOf(target.rowRules, body, request.rows)
  const meaning = rowAnswers.kind === 'unclear' ? rowAnswers : meaningOf(target.answers, result.status, body)
  const own = verdictOf(meaning, result, request)
  const verdict = meaning.kind === 'default' ? withStrays(own, rowAnswers) : own
  const judging = { request, target, body, status: result.status, outcome: verdict.outcome }
  const { rows, odd } = judgeRows(rowAnswers, judging)
  const why = verdict.outcome === 'delivered' ? null : errorOfRequest({ meaning, body }, result, target)
  const error = why !== null && odd !== null ? `${why} (${odd})` : (why ?? odd)
  return { verdict, error, rows }
}

function cutText({ answerLimitBytes }: Target): string {
  return `the answer is longer than the ${answerLimitBytes} bytes that are looked at, or damaged`
}

/** Makes the verdict unknown if an item of the answer contradicts it and names no row of the request. */
function withStrays(verdict: Verdict, rowAnswers: RowAnswers): Verdict {
  const { outcome } = verdict
  const strays = rowAnswers.kind === 'known' ? [...rowAnswers.strays] : []
  const isContradicted =
    outcome === 'delivered'
      ? strays.some(as => as !== 'delivered')
      : outcome === 'rejected' && strays.some(as => as !== 'rejected' && as !== 'throttled')
  return isContradicted ? { ...verdict, outcome: 'unknown' } : verdict
}

function verdictOf(meaning: AnswerMeaning, { status, headers }: Answered, request: AnsweredRequest): Verdict {
  const answer = {
    status,
    retryAfter: headers['retry-after']?.trim() ?? null,
    date: headers['date']?.trim() ?? null,
  }
  switch (meaning.kind) {
    case 'rule':
      return {
        ...verdictAs(meaning.rule.as, answer, Date.now()),
        waitsForNextRun: meaning.rule.waitsForNextRun,
      }
    case 'unclear':
      return verdictAs('unknown', answer, Date.now())
    case 'default':
      return defaultVerdict(answer, request)
    default:
      return meaning satisfies never
  }
}

function defaultVerdict(answer: Answer, { rows, trigger, uncertain }: AnsweredRequest): Verdict {
  const mayBeGone = rows.every(row => row.uncertain || isUncertain(uncertain, row))
  if (trigger === 'removed' && confirmsRemoval(answer.status) && mayBeGone)
    return verdictAs('delivered', answer, Date.now())
  return verdictOfAnswer(answer, Date.now())
}

/**
 * A body with more characters is not searched for sentences, since that takes too long for each failed
 * request.
 */
const LOOKED_AT_FOR_SENTENCES = 262_144

/**
 * Returns the part of a body that says what went wrong, or else all of it. `cut` is true if the end of the
 * body is missing.
 */
function reasonText(body: AnswerBody, cut: boolean): { readonly text: string; readonly cut: boolean } {
  const { json, text } = body
  const isShort = text.length <= LOOKED_AT_FOR_SENTENCES
  const reason = isShort ? tellingPart({ json: json.kind === 'json' ? json.value : undefined, text }) : null
  const start = (reason ?? text).slice(0, MAX_ERROR_SOURCE)
  return { text: start, cut: start.length < (reason ?? text).length || (reason === null && cut) }
}

/** An error quotes at most this many characters of a body. */
const MAX_EXCERPT_LENGTH = 200

function errorOfRequest(
  { meaning, body }: { readonly meaning: AnswerMeaning; readonly body: AnswerBody },
  { status, headers, cut = false }: Answered,
  target: Target,
): string {
  if (meaning.kind === 'default' && status >= 300 && status < 400 && headers['location'] !== undefined)
    return `HTTP ${status}: ${redirectText(headers['location'], target)}`
  const said = meaning.kind === 'rule' ? reasonAt(meaning.rule.error, body)?.trim() : undefined
  if (said !== undefined && said !== '') return `HTTP ${status}: ${shownReason(said, target)}`
  if (meaning.kind === 'unclear') return `HTTP ${status}: no rule for answers can be tried: ${meaning.why}`
  const reason = reasonText(body, cut)
  const shown = redactText(reason.text, target.secrets, { cut: reason.cut })
  const excerpt = shown.slice(0, MAX_EXCERPT_LENGTH).toWellFormed().trim()
  return excerpt === '' ? `HTTP ${status}` : `HTTP ${status}: ${excerpt}`
}

/** Relative addresses are resolved against this origin, which is never shown. */
const NOWHERE = 'http://nowhere.invalid'

/**
 * Shows only the origin of the redirect. Paths contain row keys, so each row would get an error of its own.
 */
function redirectText(location: string, { secrets }: Target): string {
  const shown = redactText(location, secrets)
  const { origin } = URL.canParse(shown, NOWHERE) ? new URL(shown, NOWHERE) : { origin: NOWHERE }
  const there = origin === NOWHERE || origin === 'null' ? '' : `; this one leads to ${origin}`
  return `redirects are not followed${there}`
}

interface Judging {
  readonly request: AnsweredRequest
  readonly target: Target
  readonly body: AnswerBody
  readonly status: number
  /** The outcome of the whole request. */
  readonly outcome: Verdict['outcome']
}

/**
 * The attempt of a batch records at most this many bytes of errors, and of captured values, of single rows.
 */
const MAX_ERROR_BYTES = 1_000_000
const MAX_CAPTURED_BYTES = 4_000_000

const NONE_NAMED: ReadonlyMap<number, RowAnswer> = new Map()

/**
 * Returns the judgement of each named row. `odd` is a message about a wrong answer or a missing value; null
 * if there is none.
 */
function judgeRows(
  rowAnswers: RowAnswers,
  judging: Judging,
): { readonly rows: ReadonlyMap<number, RowJudgement>; readonly odd: string | null } {
  const { request, target } = judging
  const named = rowAnswers.kind === 'known' ? rowAnswers.rows : NONE_NAMED
  const odd = rowAnswers.kind === 'known' ? rowAnswers.odd : null
  if (named.size === 0 && target.captures[request.trigger].length === 0) return { rows: NO_ROWS, odd }
  const rows = new Map<number, RowJudgement>()
  let errorBytes = 0
  let capturedBytes = 0
  let lacking: string | null = null
  // One item may name many rows, so its values are captured once.
  const kept = new Map<RowAnswer | undefined, CapturedNow>()
  for (const [position, row] of request.rows.entries()) {
    const answer = named.get(position)
    const { values, lacking: lacks } = kept.get(answer) ?? capturedOf(answer, judging)
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
      rows.set(position, {
        outcome: answer?.as ?? null,
        error,
        waitsForNextRun: answer?.waitsForNextRun ?? false,
        captured,
      })
  }
  return { rows, odd: odd !== null && lacking !== null ? `${odd}; ${lacking}` : (odd ?? lacking) }
}

/**
 * Errors are made of at most this many characters of an answer. An error shows fewer, but a secret may be
 * longer than its mask. There is a limit since one item may name many rows, and each row gets the text.
 */
const MAX_ERROR_SOURCE = 4096

function errorOf(answer: RowAnswer | undefined, target: Target): string | null {
  if (answer === undefined || answer.error === null || answer.as === 'delivered') return null
  return shownReason(answer.error, target)
}

/** Returns the reason that the API gives, masked and bounded: an API may echo secrets. */
function shownReason(reason: string, { secrets }: Target): string {
  const start = reason.slice(0, MAX_ERROR_SOURCE)
  const cut = start.length < reason.length
  return boundedText(redactText(start, secrets, { cut }), ROW_ERROR_BYTES)
}

const NOTHING: CapturedNow = { values: null, lacking: [] }

function capturedOf(
  answer: RowAnswer | undefined,
  { request, target, body, status, outcome }: Judging,
): CapturedNow {
  const captures = target.captures[request.trigger]
  if (captures.length === 0 || (answer?.as ?? outcome) !== 'delivered') return NOTHING
  // No topic may hold a secret (R20). A masked secret would be sent to the API as if it were the value.
  const isHidden = (json: string): boolean => isSecret(json, target.secrets)
  if (!target.batched[request.trigger] && request.rows.length === 1)
    return status < 200 || status > 299 ? NOTHING : captureFrom(captures, body, isHidden)
  const json =
    answer === undefined
      ? ({ kind: 'unclear', why: 'no item of the answer names the row' } as const)
      : ({ kind: 'json', value: answer.item } as const)
  return captureFrom(captures, { json }, isHidden)
}

/** Names the values that later changes of the row may lack. Values that were captured before are kept. */
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
