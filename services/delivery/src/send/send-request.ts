/** Sends one request once, and says what came of it. */
import type { Request } from '@sluice/contracts/records'
import { withTaint, type Verdict } from '@sluice/domain/answers/outcome'
import type { HttpSender, SendResult } from '@sluice/http-sender/port'
import { redactHeaders, redactText } from '@sluice/secrets/redact'
import { closeRequest } from '../outcome/close-request.ts'
import { judge, type Judgement } from '../outcome/judge-answer.ts'
import {
  earlierKey,
  NEVER_SENT,
  ownKey,
  requestHash,
  type RequestHistory,
  type UnownedAttempt,
} from '../ledger/request-history.ts'
import type { Credential } from '../destination/attempt-credentials.ts'
import { withCredential } from '../destination/credentialed-target.ts'
import { mergedHeaders, shownRequest } from '../destination/shown-request.ts'
import { RECORDED_ANSWER_BYTES, urlOf, type Target } from '../destination/target.ts'

export interface SendJob {
  readonly request: Request
  readonly requestOffset: number
  readonly partition: number
  readonly runId: string
  readonly history: RequestHistory
}

export interface Sent {
  readonly kind: 'sent'
  readonly attempt: UnownedAttempt
  /** For a throttled attempt: how long the destination asked to be left alone, if it said so. */
  readonly retryAfterMs: number | null
  /** For a failed try that more tries follow: how long to wait before the next one. Else null. */
  readonly waitMs: number | null
}

/** The lease had ended before a connection was open: nothing was sent, and it is no attempt. */
export interface Late {
  readonly kind: 'late'
  /** How long the request waited for a connection. */
  readonly lateMs: number
}

type Answered = Extract<SendResult, { kind: 'answered' }>

/**
 * Rejects only when aborted. A request may be late for its whole time-out: this try, and `lateMs` of earlier
 * ones, together. It is then tried no more with new leases. Its connection does not open, and that counts as
 * an attempt.
 */
export async function sendRequest(
  job: SendJob,
  deps: {
    readonly target: Target
    /** What shows who sends; absent or null if the target's headers do. */
    readonly credential?: Credential | null
    readonly sender: HttpSender
    readonly sendBeforeMs: number
    readonly lateMs: number
    /** How long to wait before the next try, if one follows. `made` counts this try, too. */
    readonly nextTryMs: (failed: { readonly verdict: Verdict; readonly made: number }) => number | null
    readonly signal: AbortSignal
  },
): Promise<Sent | Late> {
  const { request, history } = job
  const { credential = null, sender, sendBeforeMs, lateMs, nextTryMs, signal } = deps
  const target = withCredential(deps.target, credential)
  const hash = requestHash(request.method, urlOf(target, request.path, ''), request.body)
  const { key, repeatsEarlier } = idempotencyKey(job, target, hash)
  const headers = mergedHeaders(target.headers, request.headers)
  if (key !== null && target.idempotencyHeader !== null) headers[target.idempotencyHeader] = key
  const sent = await sender.send({
    method: request.method,
    url: urlOf(target, request.path, target.query),
    headers,
    body: request.body,
    timeoutMs: target.timeoutMs,
    bodyLimitBytes: target.answerLimitBytes,
    sendBeforeMs,
    connection: target.connection,
    signal,
  })
  if (isLate(sent) && lateMs + sent.durationMs < target.timeoutMs)
    return { kind: 'late', lateMs: sent.durationMs }
  const result = isLate(sent) ? neverOpen(sent, target, lateMs) : sent
  const judged = judge(result, { ...request, tainted: history.tainted }, target)
  const isAnew = triesAnew(result, judged, { target, credential, history })
  // A try with a refused token, which another token was tried after, counts as no retry.
  const made = history.attempts + (history.triedAnew && credential !== null ? 0 : 1)
  const waitMs = isAnew ? 0 : nextTryMs({ verdict: judged.verdict, made })
  const verdict = doubtedVerdict(judged.verdict, repeatsEarlier)
  const attempt = attemptOf(job, target, { result, judged: { ...judged, verdict }, hash, key, waitMs })
  return { kind: 'sent', attempt, retryAfterMs: verdict.retryAfterMs, waitMs }
}

/**
 * True if the API refused the token, and another one is worth a try: once for each request, at once, and
 * whatever the sync says of retries.
 */
function triesAnew(
  result: SendResult,
  { verdict }: Judgement,
  of: { readonly target: Target; readonly credential: Credential | null; readonly history: RequestHistory },
): boolean {
  const { target, credential, history } = of
  if (credential === null || result.kind !== 'answered') return false
  const isWorth = target.credentials?.answered(credential, result.status) === true
  return isWorth && verdict.outcome === 'rejected' && !history.triedAnew
}

type Failed = Extract<SendResult, { kind: 'failed' }>

function isLate(result: SendResult): result is Failed {
  return result.kind === 'failed' && result.late === true
}

/** All of its tries count as one, which ended when the last of them did and took as long as all of them. */
function neverOpen(last: Failed, { timeoutMs }: Target, lateMs: number): Failed {
  const error =
    `no connection was open in time for a lease of the limits in ${timeoutMs} ms of trying: ` +
    'it takes too long to open, or is closed as soon as it is open'
  const { startedAt, durationMs } = last
  return { ...last, error, startedAt: startedAt - lateMs, durationMs: lateMs + durationMs }
}

/**
 * The key to send, and whether an earlier run sent the very same request with it, which is still in doubt. A
 * header that the user sets takes its place.
 */
function idempotencyKey(
  job: SendJob,
  target: Target,
  hash: string,
): { readonly key: string | null; readonly repeatsEarlier: boolean } {
  const { request, partition, history } = job
  const header = target.idempotencyHeader
  if (header === null || Object.hasOwn(mergedHeaders(target.headers, request.headers), header))
    return { key: null, repeatsEarlier: false }
  const earlier = history.answers === 0 ? earlierKey(request, hash) : null
  if (earlier !== null) return { key: earlier, repeatsEarlier: true }
  const { incarnation, run, seq } = request
  const key = ownKey({ incarnation, run, partition, seq, answers: history.answers })
  return { key, repeatsEarlier: false }
}

/**
 * A request that was never sent in this run leaves behind what an earlier run left: the doubt, and its key.
 */
function doubtedVerdict(verdict: Verdict, repeatsEarlier: boolean): Verdict {
  const neverSent = !verdict.answered && (verdict.outcome === 'unsent' || verdict.outcome === 'rejected')
  return repeatsEarlier && neverSent ? { ...verdict, outcome: 'unknown' } : verdict
}

function attemptOf(
  job: SendJob,
  target: Target,
  sent: {
    readonly result: SendResult
    readonly judged: Judgement
    readonly hash: string
    readonly key: string | null
    readonly waitMs: number | null
  },
): UnownedAttempt {
  const { request, requestOffset, history } = job
  const { result, hash, key, waitMs } = sent
  const { verdict, error, captured } = sent.judged
  const { outcome } = verdict
  const [row] = request.rows
  const answer = result.kind === 'answered' ? result : null
  const shown = shownRequest(request, target)
  const ownHeader =
    key === null || target.idempotencyHeader === null ? {} : { [target.idempotencyHeader]: key }
  return {
    ...placeOf(job),
    attempt: history.attempts + 1,
    outcome: outcome === 'throttled' ? outcome : withTaint(outcome, history.tainted, request.trigger),
    final: outcome !== 'throttled' && waitMs === null,
    nextTryAt: waitMs === null ? null : Date.now() + waitMs,
    answered: verdict.answered,
    status: answer?.status ?? null,
    error,
    method: request.method,
    url: shown.url,
    requestHash: hash,
    idempotencyKey: key,
    requestHeaders: { ...shown.headers, ...redactHeaders(ownHeader, target.secrets) },
    responseHeaders: redactHeaders(answer?.headers ?? {}, target.secrets),
    responseBody: answer === null ? null : recordedBody(answer, target),
    startedAt: Math.round(result.startedAt),
    durationMs: Math.round(result.durationMs),
    rows:
      row === undefined || captured === null
        ? []
        : [{ seq: row.seq, outcome: 'delivered', error: null, captured }],
    requestOffset,
  }
}

/**
 * What is kept of a body, of which more is read where rules look at it. It is cut after secrets are masked,
 * and at a whole character. A part of a secret that the first cut left at its end is masked, too.
 */
function recordedBody({ body, cut = false }: Answered, target: Target): string {
  const part = body.slice(0, RECORDED_ANSWER_BYTES)
  const shown = redactText(part, target.secrets, { cut: cut || part.length < body.length })
  if (shown.length * 3 <= RECORDED_ANSWER_BYTES) return shown
  const { read } = new TextEncoder().encodeInto(shown, new Uint8Array(RECORDED_ANSWER_BYTES))
  return shown.slice(0, read)
}

/** Attempt 0: the request is tried no more, or was never sent. */
export function closingAttempt(job: SendJob, target: Target, why: string): UnownedAttempt {
  const { request, requestOffset, history } = job
  const hash = requestHash(request.method, urlOf(target, request.path, ''), request.body)
  const { key, repeatsEarlier } = idempotencyKey(job, target, hash)
  const { trigger } = request
  return {
    ...NEVER_SENT,
    ...placeOf(job),
    ...closeRequest(history, {
      trigger,
      nextKey: key,
      repeatsEarlier,
      why,
      hasTokens: target.credentials !== null,
    }),
    method: request.method,
    url: shownRequest(request, target).url,
    requestHash: hash,
    startedAt: Date.now(),
    requestOffset,
  }
}

function placeOf(job: SendJob): Pick<UnownedAttempt, 'run' | 'runId' | 'seq' | 'trigger'> {
  const { run, seq, trigger } = job.request
  return { run, runId: job.runId, seq, trigger }
}
