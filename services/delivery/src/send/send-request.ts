/** Sends one request once, and makes the attempt that records it. */
import type { NextPart, Request, RowResult } from '@sluice/contracts/records'
import { boundedText, RECORDED_BODY_BYTES } from '@sluice/domain/bounded-text'
import { ROW_ERROR_BYTES } from '@sluice/domain/record-sizes'
import { healthOf, type Health } from '@sluice/domain/answers/health'
import { limitResetMs } from '@sluice/domain/answers/limit-reset'
import { withUncertainty, type Verdict } from '@sluice/domain/answers/outcome'
import { shortTurn } from '@sluice/flow/sleep'
import type { HttpSender, SendResult } from '@sluice/http-sender/port'
import { CUT_END_UNITS, redactHeaders, redactText } from '@sluice/secrets/redact'
import type { Rendered } from '@sluice/templates/rendering/render-batch'
import {
  isUncertain,
  earlierKey,
  NEVER_SENT,
  ownKey,
  requestHash,
  type PartHistory,
  type UnownedAttempt,
} from '../ledger/request-history.ts'
import { closeRequest, isReplayed } from '../outcome/effects.ts'
import { judge, type Judgement } from '../outcome/judge-answer.ts'
import { settleRows, type AllowedRetries, type Settled } from '../outcome/settle-rows.ts'
import type { Credential } from '../destination/attempt-credentials.ts'
import { withCredential, urlOf, type Target } from '../destination/target.ts'
import { headOf, shownUrl } from '../destination/shown-request.ts'

/** A request, or a part of one, which is a smaller request. */
export interface SendJob {
  readonly request: Request
  readonly requestOffset: number
  readonly partition: number
  readonly runId: string
  /** The history of exactly these rows. */
  readonly history: PartHistory
  /** The hash of the request, if it is computed already (`hashed`). */
  readonly hash?: string
}

export interface Sent {
  readonly kind: 'sent'
  readonly attempt: UnownedAttempt
  /**
   * For a throttled attempt, the pause that the destination asked for, or the time until its limit is reset.
   */
  readonly retryAfterMs: number | null
  /** True if at least one row was throttled. */
  readonly throttles: boolean
  /** The health of the destination by this attempt. */
  readonly health: Health
}

/** The lease ended before a connection was open. Nothing was sent, so there is no attempt. */
export interface Late {
  readonly kind: 'late'
  /** The time that the request waited for a connection. */
  readonly lateMs: number
}

type Answered = Extract<SendResult, { kind: 'answered' }>

/**
 * Sends a request. Rejects only when aborted. A late request may be sent again with another lease. Once this
 * call and the `lateMs` of earlier calls have used up its time-out, it counts as an attempt whose connection
 * did not open.
 */
export async function sendRequest(
  job: SendJob,
  deps: {
    readonly target: Target
    /** The access token; absent or null if the target's headers authenticate the sender. */
    readonly credential?: Credential | null
    readonly sender: HttpSender
    readonly sendBeforeMs: number
    readonly lateMs: number
    /** The retries that its failed rows may get in this run. */
    readonly retries: AllowedRetries
    readonly signal: AbortSignal
  },
): Promise<Sent | Late> {
  const { request, history } = job
  const { credential = null, sender, sendBeforeMs, lateMs, retries, signal } = deps
  const target = withCredential(deps.target, credential)
  const hash = job.hash ?? hashOf(request, target)
  const { key, repeatsEarlier } = idempotencyKey(job, target, hash)
  const { sent: own } = headOf(request, target)
  const keyHeader = key === null ? null : target.idempotencyHeader
  const headers = keyHeader === null || key === null ? own : { ...own, [keyHeader]: key }
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
  if (result.kind === 'answered') target.certificates.note(result.tls)
  // Many long answers may come at the same time, and judging one takes some milliseconds.
  await shortTurn()
  const judged = judge(result, { ...request, uncertain: history.uncertain }, target)
  const { verdict } = judged
  const status = result.kind === 'answered' ? result.status : null
  const { trigger, rows } = request
  const onlyTokenRefused = mayTryNewToken(result, judged, { target, credential, history })
  const settled = settleRows(
    { trigger, rows, history, verdict, status, judged: judged.rows },
    { ...retries, onlyTokenRefused, isReplay: isReplayed(request) },
  )
  const outcome = repeatsEarlier && isNeverSent(verdict) ? 'unknown' : settled.outcome
  const attempt = attemptOf(job, target, { result, judged, settled: { ...settled, outcome }, hash, key })
  const { throttles } = settled
  // An API that takes rows is alive, whatever its status says of the others.
  const takes = [...judged.rows.values()].some(row => row.outcome === 'delivered')
  const health = takes ? 'served' : healthOf(status, verdict)
  const resetMs = throttles && result.kind === 'answered' ? limitResetMs(result.headers, Date.now()) : null
  return { kind: 'sent', attempt, retryAfterMs: verdict.retryAfterMs ?? resetMs, throttles, health }
}

/**
 * Returns true if the API refused only the token, and the request may be sent again with a new one. It is
 * sent again at once, once for each request, whatever the sync says of retries.
 */
function mayTryNewToken(
  result: SendResult,
  { verdict, rows }: Judgement,
  {
    target,
    credential,
    history,
  }: { readonly target: Target; readonly credential: Credential | null; readonly history: PartHistory },
): boolean {
  if (credential === null || result.kind !== 'answered') return false
  const isRefused = target.credentials?.answered(credential, result.status) === true
  // An answer that names rows has judged more than the token.
  const namesRows = [...rows.values()].some(row => row.outcome !== null)
  return (
    isRefused &&
    verdict.outcome === 'rejected' &&
    !namesRows &&
    (!history.triedNewToken || target.credentials?.isOlder(credential) === true)
  )
}

type Failed = Extract<SendResult, { kind: 'failed' }>

function isLate(result: SendResult): result is Failed {
  return result.kind === 'failed' && result.late === true
}

/** Returns one failure for all late calls. Its duration is the sum of their durations. */
function neverOpen(last: Failed, { timeoutMs }: Target, lateMs: number): Failed {
  const error =
    `no connection was open in time for a lease of the limits in ${timeoutMs} ms: ` +
    'it takes too long to open, or is closed as soon as it is open, or this process is too busy to use it'
  const { startedAt, durationMs } = last
  return { ...last, error, startedAt: startedAt - lateMs, durationMs: lateMs + durationMs }
}

/**
 * Returns the key to send, and whether an earlier run sent the very same request with it, which is still
 * unknown. The key is null if the user sets the header.
 */
function idempotencyKey(
  job: SendJob,
  target: Target,
  hash: string,
): { readonly key: string | null; readonly repeatsEarlier: boolean } {
  const { request, partition, history } = job
  const header = target.idempotencyHeader
  if (header === null || Object.hasOwn(headOf(request, target).sent, header))
    return { key: null, repeatsEarlier: false }
  const earlier = history.answers === 0 ? earlierKey(request, hash) : null
  if (earlier !== null) return { key: earlier, repeatsEarlier: true }
  const { incarnation, run, seq } = request
  const { positions, answers } = history
  const key = ownKey({ incarnation, run, partition, seq, positions, answers })
  return { key, repeatsEarlier: false }
}

/**
 * True for a request that was not sent. If an earlier run left it unknown, it stays unknown, with the same
 * key.
 */
function isNeverSent({ answered, outcome }: Verdict): boolean {
  return !answered && (outcome === 'unsent' || outcome === 'rejected')
}

function attemptOf(
  job: SendJob,
  target: Target,
  sent: {
    readonly result: SendResult
    readonly judged: Judgement
    readonly settled: Settled
    readonly hash: string
    readonly key: string | null
  },
): UnownedAttempt {
  const { request, requestOffset, history } = job
  const { result, judged, settled, hash, key } = sent
  const { outcome, parts, waitMs } = settled
  const answer = result.kind === 'answered' ? result : null
  const ownHeader =
    key === null || target.idempotencyHeader === null ? {} : { [target.idempotencyHeader]: key }
  return {
    ...identityOf(job),
    attempt: history.attempts + 1,
    part: history.positions,
    partBody: history.positions === null ? null : recordedText(textOf(request.body)),
    outcome,
    final: outcome !== 'throttled' && waitMs === null,
    parts,
    nextTryAt: waitMs === null ? null : Date.now() + waitMs,
    answered: judged.verdict.answered,
    status: answer?.status ?? null,
    error: judged.error ?? errorOfRows(settled, request.rows.length),
    method: request.method,
    url: shownUrl(request, target),
    requestHash: hash,
    idempotencyKey: key,
    requestHeaders: { ...headOf(request, target).shown, ...redactHeaders(ownHeader, target.secrets) },
    responseHeaders: redactHeaders(answer?.headers ?? {}, target.secrets),
    responseBody: answer === null ? null : recordedBody(answer, target),
    startedAt: Math.round(result.startedAt),
    durationMs: Math.round(result.durationMs),
    rows: settled.rows,
    requestOffset,
  }
}

/** Sums up the errors of single rows. */
function errorOfRows({ rows }: Settled, count: number): string | null {
  const failed = rows.filter(({ outcome }) => outcome !== 'delivered')
  const [first] = failed
  if (first === undefined) return null
  return count === 1
    ? (first.error ?? `the answer says that the row is ${first.outcome}`)
    : `${failed.length} of ${count} rows did not arrive; the first is ${first.outcome}: ${first.error ?? 'no reason is given'}`
}

/** Returns the part of an answer's body that is recorded. It is shortened after secrets are masked. */
function recordedBody({ body, cut = false }: Answered, target: Target): string {
  const part = body.slice(0, RECORDED_BODY_BYTES + CUT_END_UNITS)
  return recordedText(redactText(part, target.secrets, { cut: cut || part.length < body.length }))
}

/** Shortens a text to the recorded size, at a whole character. */
function recordedText(text: string): string {
  if (text.length * 3 <= RECORDED_BODY_BYTES) return text
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(RECORDED_BODY_BYTES))
  return text.slice(0, read)
}

function textOf(body: Request['body']): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(body ?? undefined)
}

/** Returns the job with its hash. The hash is computed before the lease, since a lease is short. */
export function hashed<J extends SendJob>(job: J, target: Target): J {
  return job.hash === undefined ? { ...job, hash: hashOf(job.request, target) } : job
}

/** Returns the intent of a request's next attempt, which is recorded before any byte of it is sent. */
export function intentOf(job: SendJob, target: Target): UnownedAttempt {
  const { request, requestOffset, history } = job
  const hash = job.hash ?? hashOf(request, target)
  return {
    ...NEVER_SENT,
    ...identityOf(job),
    attempt: history.attempts + 1,
    part: history.positions,
    final: false,
    outcome: 'unknown',
    error: 'about to be sent',
    method: request.method,
    url: shownUrl(request, target),
    requestHash: hash,
    idempotencyKey: idempotencyKey(job, target, hash).key,
    startedAt: Date.now(),
    requestOffset,
  }
}

/**
 * Returns a hash that does not depend on secrets. So the same request has the same hash after its secrets
 * change.
 */
function hashOf({ method, path, body }: Request, target: Target): string {
  return requestHash(method, urlOf({ baseUrl: target.shownBaseUrl }, path, ''), body)
}

/** Returns the attempt 0 of a request that is not sent any more, or was never sent. */
export function closingAttempt(job: SendJob, target: Target, why: string): UnownedAttempt {
  const { request, requestOffset, history } = job
  const own = hashOf(request, target)
  // A part is not rendered again for this. If it was sent, or has an intent, its hash is recorded.
  const { positions, sends, intent, last } = history
  const before = intent ?? (sends > 0 ? last : null)
  const hash = positions === null ? own : (before?.requestHash ?? own)
  const { key, repeatsEarlier } = idempotencyKey(job, target, hash)
  const { trigger } = request
  return {
    ...NEVER_SENT,
    ...identityOf(job),
    part: history.positions,
    parts: history.positions === null ? null : [],
    ...closeRequest(history, {
      trigger,
      rows: request.rows,
      nextKey: key,
      repeatsEarlier,
      why,
      hasTokens: target.credentials !== null,
    }),
    method: request.method,
    url: shownUrl(request, target),
    requestHash: hash,
    startedAt: Date.now(),
    requestOffset,
  }
}

/**
 * Returns the attempt 0 of a part whose rows cannot be rendered as one request. It ends the rows that cannot
 * be rendered, and has a part for each request that the others make. Nothing was sent.
 */
export function dividedAttempt(job: SendJob, target: Target, rendered: readonly Rendered[]): UnownedAttempt {
  const { request, requestOffset, history } = job
  const positions = new Map(request.rows.map(({ seq }, index) => [seq, history.positions?.[index] ?? index]))
  const parts: NextPart[] = []
  const results: RowResult[] = []
  for (const one of rendered) {
    if (one.kind === 'request') {
      const rows = one.rows.flatMap(({ seq }) => positions.get(seq) ?? [])
      parts.push({ rows, tries: history.tries, waitMs: 0 })
      continue
    }
    const error = boundedText(one.error, ROW_ERROR_BYTES)
    for (const { seq } of one.rows) {
      const outcome = withUncertainty('rejected', isUncertain(history.uncertain, { seq }), request.trigger)
      results.push({ seq, outcome, error, captured: null })
    }
  }
  return {
    ...NEVER_SENT,
    ...identityOf(job),
    part: history.positions,
    parts,
    outcome: 'rejected',
    error: results[0]?.error ?? `its rows make ${parts.length} requests by now`,
    method: request.method,
    url: shownUrl(request, target),
    requestHash: '',
    idempotencyKey: null,
    startedAt: Date.now(),
    rows: results,
    requestOffset,
  }
}

function identityOf(job: SendJob): Pick<UnownedAttempt, 'run' | 'runId' | 'seq' | 'trigger'> {
  const { run, seq, trigger } = job.request
  return { run, runId: job.runId, seq, trigger }
}
