/** The answer to a request: its meaning, its error for people, and the values that are kept of it. */
import { AnswerBody } from '@sluice/domain/answers/answer-body'
import { meaningOf, reasonAt, type AnswerMeaning } from '@sluice/domain/answers/answer-rules'
import { rowAnswersOf, type RowAnswers } from '@sluice/domain/answers/row-results'
import {
  confirmsRemoval,
  verdictAs,
  verdictOfAnswer,
  verdictOfFailure,
  type Answer,
  type Verdict,
} from '@sluice/domain/answers/outcome'
import { tellingPart } from '@sluice/domain/answers/telling-part'
import type { SendResult } from '@sluice/http-sender/port'
import { redactText } from '@sluice/secrets/redact'
import type { Target } from '../destination/target.ts'
import { isTainted } from '../ledger/parts.ts'
import {
  judgeRows,
  LOOKED_AT_FOR_ERROR,
  NO_ROWS,
  shownReason,
  type Judged,
  type RowJudgement,
} from './judge-rows.ts'

export interface Judgement {
  readonly verdict: Verdict
  readonly error: string | null
  /** Rows of which the answer tells something of their own, by their place among those that were sent. */
  readonly rows: ReadonlyMap<number, RowJudgement>
}

type Answered = Extract<SendResult, { kind: 'answered' }>
/** The sync's own rules come before what statuses mean by themselves. */
export function judge(result: SendResult, request: Judged, target: Target): Judgement {
  if (result.kind === 'failed') {
    const error = redactText(result.error, target.secrets)
    return { verdict: verdictOfFailure(result.reason), error, rows: NO_ROWS }
  }
  const body = new AnswerBody(result.body, result.cut === true ? cutText(target) : null, target.answerPaths)
  const told = rowAnswersOf(target.rowRules, body, request.rows)
  const meaning = told.kind === 'untold' ? told : meaningOf(target.answers, result.status, body)
  const own = verdictOf(meaning, result, request)
  const verdict = meaning.kind === 'default' ? doubted(own, told) : own
  const judging = { request, target, body, status: result.status, outcome: verdict.outcome }
  const { rows, odd } = judgeRows(told, judging)
  const why = verdict.outcome === 'delivered' ? null : errorOf({ meaning, body }, result, target)
  const error = why !== null && odd !== null ? `${why} (${odd})` : (why ?? odd)
  return { verdict, error, rows }
}

function cutText({ answerLimitBytes }: Target): string {
  return `the answer is longer than the ${answerLimitBytes} bytes that are looked at, or damaged`
}

/**
 * The rows that no item names: the answer says of one of them something else than of the request, and does
 * not say of which.
 */
function doubted(verdict: Verdict, told: RowAnswers): Verdict {
  const { outcome } = verdict
  const strays = told.kind === 'told' ? [...told.strays] : []
  const isDoubted =
    outcome === 'delivered'
      ? strays.some(as => as !== 'delivered')
      : outcome === 'rejected' && strays.some(as => as !== 'rejected' && as !== 'throttled')
  return isDoubted ? { ...verdict, outcome: 'unknown' } : verdict
}

function verdictOf(meaning: AnswerMeaning, { status, headers }: Answered, request: Judged): Verdict {
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
    case 'untold':
      return verdictAs('unknown', answer, Date.now())
    case 'default':
      return defaultVerdict(answer, request)
    default:
      return meaning satisfies never
  }
}

function defaultVerdict(answer: Answer, { rows, trigger, tainted }: Judged): Verdict {
  const inDoubt = rows.every(row => row.uncertain || isTainted(tainted, row))
  if (trigger === 'removed' && confirmsRemoval(answer.status) && inDoubt)
    return verdictAs('delivered', answer, Date.now())
  return verdictOfAnswer(answer, Date.now())
}

/** A longer body takes too long to look through for each failed request. */
const LOOKED_AT_FOR_SENTENCES = 262_144

/** The part of a body that tells what went wrong, or else all of it. `cut`: its end is not at hand. */
function toldBy(body: AnswerBody, cut: boolean): { readonly text: string; readonly cut: boolean } {
  const { json, text } = body
  const isShort = text.length <= LOOKED_AT_FOR_SENTENCES
  const told = isShort ? tellingPart({ json: json.kind === 'json' ? json.value : undefined, text }) : null
  const begun = (told ?? text).slice(0, LOOKED_AT_FOR_ERROR)
  return { text: begun, cut: begun.length < (told ?? text).length || (told === null && cut) }
}

/** Most characters of a body that stand in an error. */
const EXCERPT_LENGTH = 200

function errorOf(
  { meaning, body }: { readonly meaning: AnswerMeaning; readonly body: AnswerBody },
  { status, headers, cut = false }: Answered,
  target: Target,
): string {
  if (meaning.kind === 'default' && status >= 300 && status < 400 && headers['location'] !== undefined)
    return `HTTP ${status}: ${redirectText(headers['location'], target)}`
  const said = meaning.kind === 'rule' ? reasonAt(meaning.rule.error, body)?.trim() : undefined
  if (said !== undefined && said !== '') return `HTTP ${status}: ${shownReason(said, target)}`
  if (meaning.kind === 'untold') return `HTTP ${status}: no rule for answers can be tried: ${meaning.why}`
  const told = toldBy(body, cut)
  const shown = redactText(told.text, target.secrets, { cut: told.cut })
  const excerpt = shown.slice(0, EXCERPT_LENGTH).toWellFormed().trim()
  return excerpt === '' ? `HTTP ${status}` : `HTTP ${status}: ${excerpt}`
}

/** The origin of a relative address. */
const NOWHERE = 'http://nowhere.invalid'

/** Shows the origin alone: a path has the row's key, and each row would have an error of its own. */
function redirectText(location: string, { secrets }: Target): string {
  const shown = redactText(location, secrets)
  const { origin } = URL.canParse(shown, NOWHERE) ? new URL(shown, NOWHERE) : { origin: NOWHERE }
  const there = origin === NOWHERE || origin === 'null' ? '' : `; this one leads to ${origin}`
  return `redirects are not followed${there}`
}
