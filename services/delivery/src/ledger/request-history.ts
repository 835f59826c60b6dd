/**
 * What this run already knows of a request: its attempts so far, and what may have happened unseen
 * (PROTOCOL.md §8).
 */
import { createHash, hash } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'
import { isIntent } from '@sluice/domain/answers/intent'
import type { Attempt, NextPart, Request, Checkpoint } from '@sluice/contracts/records'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { lastOwnRecord, readOwned } from '@sluice/topics/owned-reader'
import type { RecordIo, Typed } from '@sluice/topics/record-io'
import {
  positionsOf,
  positionsText,
  samePositions,
  withTaintOf,
  type Positions,
  type Taint,
} from './parts.ts'

/** An attempt before its place in the topic is known. */
export type UnownedAttempt = Omit<Attempt, 'incarnation' | 'owner' | 'checkpoint'>

/** What is known of rows that are sent together: of a request, or of a part of it. */
export interface PartHistory {
  /** The positions of its rows in the request. */
  readonly positions: Positions
  /** Tries that its rows have used up. Neither throttled ones nor those that only divided a batch count. */
  readonly tries: number
  /** Attempts recorded that its rows were in, throttled ones and attempt 0 not counted. */
  readonly attempts: number
  /** How many of the attempts were of exactly these rows. */
  readonly sends: number
  /** How many of these were answered. Each answer frees the idempotency key. */
  readonly answers: number
  /** Its rows of which an attempt was, or may have been, unknown. */
  readonly tainted: Taint
  /** True if a predecessor may have sent it once more, and nothing of that is recorded. */
  readonly unseen: boolean
  /** True once the API refused a token, and another was tried: that try is not counted as a retry. */
  readonly triedAnew: boolean
  /** True if that refusal is the last that is known: nothing was judged but the token. */
  readonly tokenRefused: boolean
  /** The last try that was announced, if nothing else is recorded of it. */
  readonly intent: UnownedAttempt | null
  /** How often it was announced without anything that follows. Each time its process died. */
  readonly announced: number
  /** The last try of its rows, if it failed and more were to follow it in this run. */
  readonly last: UnownedAttempt | null
  /** How long it waits after its last try, in ms. */
  readonly waitMs: number
}

/**
 * Rows that an attempt finished, which was one of so many that they were in. Those among them that went on in
 * a part stand again behind, so the last that has a row counts for it.
 */
export interface EndedRows {
  readonly positions: Positions
  readonly attempt: UnownedAttempt
  readonly attempts: number
}

export interface RequestHistory {
  /** Attempts recorded, throttled ones and attempt 0 not counted. The number of the next one follows. */
  readonly attempts: number
  /** How many different parts were sent, the whole of it among them. */
  readonly requests: number
  /** What is open. A request is finished when nothing is. */
  readonly parts: readonly PartHistory[]
  readonly ended: readonly EndedRows[]
}

/** The fields that attempt 0 lacks. Attempt 0 finishes a request that was never sent. */
export const NEVER_SENT = {
  attempt: 0,
  part: null,
  partBody: null,
  final: true,
  parts: null,
  nextTryAt: null,
  answered: false,
  status: null,
  requestHeaders: {},
  responseHeaders: {},
  responseBody: null,
  durationMs: 0,
  rows: [],
} as const satisfies Partial<UnownedAttempt>

/** A request that was never sent. */
export const WHOLE: PartHistory = {
  positions: null,
  tries: 0,
  attempts: 0,
  sends: 0,
  answers: 0,
  tainted: false,
  unseen: false,
  triedAnew: false,
  tokenRefused: false,
  intent: null,
  announced: 0,
  last: null,
  waitMs: 0,
}

export const NO_HISTORY: RequestHistory = { attempts: 0, requests: 0, parts: [WHOLE], ended: [] }

/** The history after one more attempt. Throws `corrupt` if no part with the rows of the attempt is open. */
export function withAttempt(history: RequestHistory, attempt: UnownedAttempt): RequestHistory {
  const positions = positionsOf(attempt)
  const part = history.parts.find(open => samePositions(open.positions, positions))
  if (part === undefined) throw notOpen(attempt)
  const others = history.parts.filter(open => open !== part)
  if (isIntent(attempt)) {
    const announced = { ...part, intent: attempt, announced: part.announced + 1 }
    return { ...history, parts: [...others, announced] }
  }
  const next = nextParts(attempt)
  if (next === 'throttled' && part.intent === null) return history
  if (next === 'throttled') return { ...history, parts: [...others, { ...part, intent: null, announced: 0 }] }
  const sent = attempt.attempt > 0 ? 1 : 0
  const kept = withoutAnswer(attempt)
  const parts = next.map(of => partAfter(part, kept, of))
  return {
    attempts: history.attempts + sent,
    requests: history.requests + (part.sends === 0 ? sent : 0),
    parts: [...others, ...parts],
    ended:
      goesOnWhole(next) || allGoOn(positions, next)
        ? history.ended
        : [...history.ended, { positions, attempt: kept, attempts: part.attempts + sent }],
  }
}

function notOpen({ requestOffset, attempt, part }: UnownedAttempt): SluiceError {
  const rows = part === null ? 'all rows' : `rows ${positionsText(part)}`
  const what = `attempt ${attempt} of the request at offset ${requestOffset} is of ${rows}`
  return new SluiceError('corrupt', `${what}, and these are not open together`)
}

/** The parts that follow an attempt; `throttled` if it changes nothing. */
function nextParts(attempt: UnownedAttempt): readonly NextPart[] | 'throttled' {
  const { outcome, final } = attempt
  // An attempt of an earlier version has no such field.
  const parts: readonly NextPart[] | null | undefined = attempt.parts
  if (parts !== null && parts !== undefined) return parts
  if (outcome === 'throttled') return final ? [] : 'throttled'
  return final ? [] : [{ rows: null, tries: 0, waitMs: pauseOf(attempt) }]
}

function partAfter(part: PartHistory, attempt: UnownedAttempt, next: NextPart): PartHistory {
  const isSame = next.rows === null
  const sent = attempt.attempt > 0 ? 1 : 0
  const answer = sent === 1 && attempt.answered ? 1 : 0
  return {
    positions: isSame ? part.positions : next.rows,
    tries: Array.isArray(attempt.parts) ? next.tries : part.tries + sent,
    attempts: part.attempts + sent,
    sends: isSame ? part.sends + sent : 0,
    answers: isSame ? part.answers + answer : 0,
    tainted: withTaintOf(part.tainted, attempt),
    // What was unseen came before this attempt, and has tainted it.
    unseen: false,
    intent: null,
    announced: 0,
    triedAnew: part.triedAnew || (isSame && isRefusal(attempt)),
    tokenRefused: !part.triedAnew && isSame && isRefusal(attempt),
    // An attempt 0 that only divided the rows tells nothing of them.
    last: attempt.attempt === 0 ? part.last : attempt,
    waitMs: next.waitMs,
  }
}

function goesOnWhole(next: readonly NextPart[]): boolean {
  return next.some(({ rows }) => rows === null)
}

/** True if each row of a part goes on in another one. Then nothing follows from this attempt. */
function allGoOn(positions: Positions, next: readonly NextPart[]): boolean {
  if (positions === null) return false
  return next.reduce((sum, { rows }) => sum + (rows?.length ?? 0), 0) === positions.length
}

/**
 * An attempt that others of the same rows follow, whose token was refused. Without tokens it is an ordinary
 * rejection.
 */
function isRefusal({ status, attempt }: UnownedAttempt): boolean {
  return status === 401 && attempt > 0
}

/**
 * What follows from an attempt does not need what was sent and answered. There may be 10,000 attempts in
 * memory, and an answer may have 64 KiB.
 */
function withoutAnswer(attempt: UnownedAttempt): UnownedAttempt {
  return { ...attempt, requestHeaders: {}, responseHeaders: {}, responseBody: null, partBody: null }
}

/** No API asks for a longer wait that a run would keep to. A stranger may have written a longer one. */
const MAX_WAIT_MS = 7 * 86_400_000

/**
 * How long a part waits still for the next try that a predecessor wanted. A clock that differs from the
 * predecessor's gives no longer wait than the whole.
 */
export function leftOfWaitMs({ last, waitMs }: PartHistory): number {
  if (last === null) return 0
  return Math.min(last.startedAt + last.durationMs + waitMs - Date.now(), waitMs, MAX_WAIT_MS)
}

function pauseOf({ nextTryAt, startedAt, durationMs }: UnownedAttempt): number {
  // An attempt of an earlier version has no such time.
  return typeof nextTryAt === 'number' ? nextTryAt - startedAt - durationMs : 0
}

/** Smaller requests are hashed in one piece, which costs half as much. */
const piece = Buffer.allocUnsafeSlow(4096)

/** SHA-256, in hex, of what makes two requests the same to a server. */
export function requestHash(method: string, url: string, body: Uint8Array | null): string {
  const head = `${method}\n${url}\n`
  if (body === null) return hash('sha256', head, 'hex')
  // A character of UTF-16 takes at most three bytes.
  if (head.length * 3 + body.length > piece.length)
    return createHash('sha256').update(head).update(body).digest('hex')
  const length = piece.write(head)
  piece.set(body, length)
  return hash('sha256', piece.subarray(0, length + body.length), 'hex')
}

/** The key of a request, or of a part of it, that has had `answers` answers in this run. */
export function ownKey(place: {
  readonly incarnation: string
  readonly run: number
  readonly partition: number
  readonly seq: number
  readonly positions: Positions
  readonly answers: number
}): string {
  const { incarnation, run, partition, seq, positions, answers } = place
  const part = positions === null ? '' : `/${positionsText(positions)}`
  const text = `${incarnation}/${run}/${partition}/${seq}${part}/${answers}`
  return hash('sha256', text, 'hex').slice(0, 32)
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

interface KnownRequest {
  readonly history: RequestHistory
  /** Offset of its first attempt. */
  readonly firstAttempt: number
}

export interface Recovered {
  readonly checkpoint: Checkpoint
  /** By offset in `requests`, for those at or above the checkpoint. */
  readonly known: ReadonlyMap<number, KnownRequest>
  /**
   * True if there was no predecessor, or its last record is `run-end` or `release`: then nothing was under
   * way. Each owner writes a `run-begin` marker before it sends the first request of a run.
   */
  readonly clean: boolean
}

/**
 * Reads where an earlier owner of the partition stopped, once this owner's takeover marker is in it. It finds
 * the checkpoint, what is known of the requests at or above it, and whether the predecessor left in good
 * order (PROTOCOL.md §5, §8).
 */
export async function recoverLedger(options: {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly incarnation: string
  readonly requests: TopicPartition
  readonly attempts: TopicPartition
  /** How far is read ahead at most. */
  readonly bufferBytes: number
  readonly signal: AbortSignal
}): Promise<Recovered> {
  const { log, io, incarnation, requests, attempts, bufferBytes, signal } = options
  const reader = { log, io, incarnation, stage: 'attempts', target: attempts, signal } as const
  const last = await lastOwnRecord(reader)
  const record = last?.record ?? null
  if (last === null || record === null) {
    const [input, output] = await Promise.all([
      log.offsets(requests, { signal }),
      log.offsets(attempts, { signal }),
    ])
    const checkpoint = { offset: input.low, from: output.end, run: 0, counts: {} }
    return { checkpoint, known: new Map(), clean: true }
  }
  // An append of many attempts may have been cut. Only its last attempt would have had a checkpoint.
  const marked =
    checkpointOf(record) === null
      ? await lastOwnRecord({ ...reader, matches: each => checkpointOf(each) !== null })
      : last
  const checkpoint =
    marked?.record === undefined || marked.record === null ? null : checkpointOf(marked.record)
  if (checkpoint === null)
    throw new SluiceError(
      'corrupt',
      `nothing up to offset ${last.offset} of ${attempts.topic} has a checkpoint`,
    )
  const known = new Map<number, KnownRequest>()
  for await (const batch of readOwned({
    ...reader,
    bufferBytes,
    from: checkpoint.from,
    to: last.offset + 1,
  })) {
    for (const placed of batch.records) {
      if (placed.record?.name !== 'sluice.Attempt') continue
      const attempt = placed.record.value
      if (attempt.requestOffset < checkpoint.offset) continue
      const before = known.get(attempt.requestOffset)
      known.set(attempt.requestOffset, {
        history: withAttempt(before?.history ?? NO_HISTORY, attempt),
        firstAttempt: before?.firstAttempt ?? placed.offset,
      })
    }
  }
  const clean = record.name === 'sluice.Marker' && record.value.kind !== 'run-begin'
  return { checkpoint, known, clean }
}

function checkpointOf(record: Typed): Checkpoint | null {
  return record.name === 'sluice.Attempt' || record.name === 'sluice.Marker' ? record.value.checkpoint : null
}
