/**
 * What this run already knows of a request: its attempts so far, and what may have happened unseen
 * (PROTOCOL.md §8).
 */
import { createHash } from 'node:crypto'
import type { Attempt, Request } from '@sluice/contracts/records'

/** An attempt before its place in the topic is known. */
export type UnownedAttempt = Omit<Attempt, 'incarnation' | 'owner' | 'checkpoint'>

export interface RequestHistory {
  /** Attempts recorded, throttled ones and attempt 0 not counted. */
  readonly attempts: number
  /** How many of the attempts were answered. Each answer frees the idempotency key. */
  readonly answers: number
  /** True once an attempt was, or may have been, unknown. */
  readonly tainted: boolean
  /** True if a predecessor may have sent it once more, and nothing of that is recorded. */
  readonly unseen: boolean
  /** The last try, if it failed and more were to follow it in this run. */
  readonly last: UnownedAttempt | null
  /** The attempt that finished the request, if it is finished. */
  readonly final: UnownedAttempt | null
}

/** The fields that attempt 0 lacks. Attempt 0 finishes a request that was never sent. */
export const NEVER_SENT = {
  attempt: 0,
  final: true,
  nextTryAt: null,
  answered: false,
  status: null,
  requestHeaders: {},
  responseHeaders: {},
  responseBody: null,
  durationMs: 0,
  rows: [],
} as const satisfies Partial<UnownedAttempt>

export const NO_HISTORY: RequestHistory = {
  attempts: 0,
  answers: 0,
  tainted: false,
  unseen: false,
  last: null,
  final: null,
}

export function withAttempt(history: RequestHistory, attempt: UnownedAttempt): RequestHistory {
  if (attempt.outcome === 'throttled') return history
  const sent = attempt.attempt > 0
  return {
    attempts: history.attempts + (sent ? 1 : 0),
    answers: history.answers + (sent && attempt.answered ? 1 : 0),
    tainted: history.tainted || attempt.outcome === 'unknown',
    // What was unseen came before this attempt, and has tainted it.
    unseen: false,
    last: attempt.final ? null : withoutAnswer(attempt),
    final: attempt.final ? withoutAnswer(attempt) : history.final,
  }
}

/**
 * What follows from an attempt does not need what was sent and answered. There may be 10,000 attempts in
 * memory, and an answer may have 64 KiB.
 */
function withoutAnswer(attempt: UnownedAttempt): UnownedAttempt {
  return { ...attempt, requestHeaders: {}, responseHeaders: {}, responseBody: null }
}

/** No API asks for a longer wait that a run would keep to. A stranger may have written a longer one. */
const LONGEST_WAIT_MS = 7 * 86_400_000

/**
 * How long a request waits for its next try that a predecessor wanted. A clock that differs from the
 * predecessor's gives no longer wait than the whole.
 */
export function leftOfWaitMs({ nextTryAt, startedAt, durationMs }: UnownedAttempt): number {
  // An attempt of an earlier version has no such time.
  if (typeof nextTryAt !== 'number') return 0
  return Math.min(nextTryAt - Date.now(), nextTryAt - startedAt - durationMs, LONGEST_WAIT_MS)
}

/** SHA-256, in hex, of what makes two requests the same to a server. */
export function requestHash(method: string, url: string, body: Uint8Array | null): string {
  const hash = createHash('sha256').update(`${method}\n${url}\n`)
  if (body !== null) hash.update(body)
  return hash.digest('hex')
}

/** The key of a request that has had `answers` answers in this run. */
export function ownKey(place: {
  readonly incarnation: string
  readonly run: number
  readonly partition: number
  readonly seq: number
  readonly answers: number
}): string {
  const { incarnation, run, partition, seq, answers } = place
  const text = `${incarnation}/${run}/${partition}/${seq}/${answers}`
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

/**
 * The key that an earlier run sent the very same request with, if its fate is unknown and no answer can have
 * been stored under it. That is so if all its rows were that one request, its last attempt had no answer, and
 * method, URL and body are unchanged. Else null.
 */
export function earlierKey(request: Request, hash: string): string | null {
  const first = request.rows[0]?.retried
  if (first === undefined || first === null || first.idempotencyKey === null) return null
  const same = request.rows.every(
    ({ retried }) =>
      retried !== null &&
      retried.idempotencyKey === first.idempotencyKey &&
      retried.outcome === 'unknown' &&
      !retried.answered &&
      retried.requestHash === hash &&
      retried.requestRows === request.rows.length,
  )
  return same ? first.idempotencyKey : null
}
