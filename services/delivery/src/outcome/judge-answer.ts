/** The answer to a request: its meaning, its error for people, and the values that are kept of it. */
import type { Request } from '@sluice/contracts/records'
import { AnswerBody } from '@sluice/domain/answers/answer-body'
import { meaningOf, type AnswerMeaning } from '@sluice/domain/answers/answer-rules'
import { captureFrom, hasCaptured, type CapturedNow } from '@sluice/domain/answers/captured'
import {
  confirmsRemoval,
  verdictAs,
  verdictOfAnswer,
  verdictOfFailure,
  type Answer,
  type Verdict,
} from '@sluice/domain/answers/outcome'
import type { SendResult } from '@sluice/http-sender/port'
import { redactText } from '@sluice/secrets/redact'
import type { Target } from '../destination/target.ts'

export interface Judgement {
  readonly verdict: Verdict
  readonly error: string | null
  /** Values captured from the answer to the request's one row, as JSON; null where there are none. */
  readonly captured: string | null
}

type Answered = Extract<SendResult, { kind: 'answered' }>
interface Judged extends Pick<Request, 'trigger' | 'rows'> {
  /** True once a try of it was, or may have been, unknown. */
  readonly tainted: boolean
}

/** The sync's own rules come before what statuses mean by themselves. */
export function judge(result: SendResult, request: Judged, target: Target): Judgement {
  if (result.kind === 'failed') {
    const error = redactText(result.error, target.secrets)
    return { verdict: verdictOfFailure(result.reason), error, captured: null }
  }
  const cut = `the answer is longer than the ${target.answerLimitBytes} bytes that are looked at, or damaged`
  const body = new AnswerBody(result.body, result.cut === true ? cut : null)
  const meaning = meaningOf(target.answers, result.status, body)
  const verdict = verdictOf(meaning, result, request)
  if (verdict.outcome !== 'delivered')
    return { verdict, error: errorOf(meaning, result, target), captured: null }
  const { values, lacking } = capturedFrom(body, result.status, { request, target })
  return { verdict, error: lackingError(lacking, request), captured: values }
}

function verdictOf(meaning: AnswerMeaning, { status, headers }: Answered, request: Judged): Verdict {
  const answer = {
    status,
    retryAfter: headers['retry-after']?.trim() ?? null,
    date: headers['date']?.trim() ?? null,
  }
  switch (meaning.kind) {
    case 'rule':
      return verdictAs(meaning.as, answer, Date.now())
    case 'untold':
      return verdictAs('unknown', answer, Date.now())
    case 'default':
      return defaultVerdict(answer, request)
    default:
      return meaning satisfies never
  }
}

function defaultVerdict(answer: Answer, { rows, trigger, tainted }: Judged): Verdict {
  const inDoubt = tainted || rows.every(row => row.uncertain)
  if (trigger === 'removed' && confirmsRemoval(answer.status) && inDoubt)
    return verdictAs('delivered', answer, Date.now())
  return verdictOfAnswer(answer, Date.now())
}

/** Most characters of a body that stand in an error. */
const EXCERPT_LENGTH = 200
/** So much of a body is looked at for an error, since a secret in it may be longer than its mask. */
const LOOKED_AT_FOR_EXCERPT = 4096

function errorOf(meaning: AnswerMeaning, { status, body }: Answered, target: Target): string {
  const excerpt =
    meaning.kind === 'untold'
      ? `no rule for answers can be tried: ${meaning.why}`
      : redactText(body.slice(0, LOOKED_AT_FOR_EXCERPT), target.secrets, { cut: true })
          .slice(0, EXCERPT_LENGTH)
          .toWellFormed()
          .trim()
  return excerpt === '' ? `HTTP ${status}` : `HTTP ${status}: ${excerpt}`
}

const NOTHING: CapturedNow = { values: null, lacking: [] }

function capturedFrom(
  body: AnswerBody,
  status: number,
  { request, target }: { readonly request: Judged; readonly target: Target },
): CapturedNow {
  if (status < 200 || status > 299 || request.rows.length !== 1) return NOTHING
  const captures = target.captures[request.trigger]
  // A secret is in no topic (R20), and a masked one would be sent to the API as if it were the value.
  return captureFrom(captures, body, json => isSecret(json, target.secrets))
}

/** Tells what later changes of the row may lack; what was captured before is still there. */
function lackingError(lacking: CapturedNow['lacking'], { rows: [row] }: Judged): string | null {
  const before = typeof row?.captured === 'string' ? row.captured : null
  const missing = lacking.filter(({ name }) => !hasCaptured(before, name))
  if (missing.length === 0) return null
  return `delivered, but not captured: ${missing.map(({ name, why }) => `${name} (${why})`).join('; ')}`
}

function isSecret(json: string, secrets: readonly string[]): boolean {
  const bare = json.startsWith('"') ? json.slice(1, -1) : json
  return redactText(json, secrets) !== json || redactText(bare, secrets) !== bare
}
