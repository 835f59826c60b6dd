/**
 * Keeps the state of a request within its run: the attempts so far, the parts in which its rows go on, and
 * what a predecessor may have sent without a record (PROTOCOL.md §8).
 */
import { createHash, hash } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'
import { isIntent } from '@sluice/domain/answers/intent'
import type { Attempt, NextPart, Request, Checkpoint } from '@sluice/contracts/records'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { lastOwnRecord, readOwned } from '@sluice/topics/owned-reader'
import type { RecordIo, Typed } from '@sluice/topics/record-io'

/**
 * The positions, in a request, of rows that are sent together. Positions rise. Null stands for all rows, so
 * that a request which is never divided needs no list.
 */
export type Positions = readonly number[] | null

export function rowsAt<R>(rows: readonly R[], positions: Positions): readonly R[] {
  if (positions === null) return rows
  return positions.flatMap(position => {
    const row = rows[position]
    return row === undefined ? [] : [row]
  })
}

export function samePositions(a: Positions, b: Positions): boolean {
  if (a === null || b === null) return a === b
  return a.length === b.length && a.every((position, index) => position === b[index])
}

/** Returns the positions as text, such as 0-49,60. */
function positionsText(positions: readonly number[]): string {
  const runs: { readonly first: number; last: number }[] = []
  for (const position of positions) {
    const run = runs.at(-1)
    if (run !== undefined && position === run.last + 1) run.last = position
    else runs.push({ first: position, last: position })
  }
  return runs.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}

/** An attempt without the fields that its writer adds. */
export type UnownedAttempt = Omit<Attempt, 'incarnation' | 'owner' | 'checkpoint'>

/** The state of rows that are sent together: all rows of a request, or a part of them. */
export interface PartHistory {
  /** The positions of its rows in the request. */
  readonly positions: Positions
  /**
   * Attempts that its rows have used up. Throttled attempts, and those that only divided a batch, do not
   * count.
   */
  readonly tries: number
  /** Recorded attempts of its rows, without throttled ones and attempt 0. */
  readonly attempts: number
  /** The number of attempts with exactly these rows. */
  readonly sends: number
  /**
   * The number of attempts with exactly these rows that were answered. After each answer the next attempt
   * gets a new idempotency key.
   */
  readonly answers: number
  /**
   * The rows for which the outcome of an attempt was, or may have been, unknown. If a later attempt fails,
   * they stay unknown.
   */
  readonly uncertain: UncertainRows
  /** True if a predecessor may have sent this part once more without a record. */
  readonly maybeSent: boolean
  /**
   * True once the part was sent again with a new token, since the API refused the old one. This does not
   * count as a retry.
   */
  readonly triedNewToken: boolean
  /** True if the API has judged nothing but the token so far, and has refused that. */
  readonly tokenRefused: boolean
  /** The last record of the part, if that is an intent; else null. */
  readonly intent: UnownedAttempt | null
  /** The number of intents since its last attempt. After each of them the process died. */
  readonly intents: number
  /** When the first attempt of its rows in this run was sent, in ms since 1970; null before it. */
  readonly firstAt: number | null
  /** The last attempt of its rows, if it failed and another was to follow in this run. */
  readonly last: UnownedAttempt | null
  /** The pause after its last attempt, in ms. */
  readonly waitMs: number
}

/**
 * The rows of an attempt that finished at least one of its rows. A row that went on in a part occurs again
 * later in the list, and its last entry counts. `attempts` is the number of attempts with these rows.
 */
export interface EndedRows {
  readonly positions: Positions
  readonly attempt: UnownedAttempt
  readonly attempts: number
}

export interface RequestHistory {
  /** Recorded attempts, without throttled ones and attempt 0. The next attempt gets the next number. */
  readonly attempts: number
  /** The number of different parts that were sent, including the whole request. */
  readonly requests: number
  /** The open parts. A request without any is finished. */
  readonly parts: readonly PartHistory[]
  readonly ended: readonly EndedRows[]
}

/**
 * The fields that an attempt lacks if nothing was sent. Attempt 0 ends a request, or a part, without sending
 * it.
 */
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

/** The one part of a request that was never sent. */
export const WHOLE: PartHistory = {
  positions: null,
  tries: 0,
  attempts: 0,
  sends: 0,
  answers: 0,
  uncertain: false,
  maybeSent: false,
  triedNewToken: false,
  tokenRefused: false,
  intent: null,
  intents: 0,
  firstAt: null,
  last: null,
  waitMs: 0,
}

export const NO_HISTORY: RequestHistory = { attempts: 0, requests: 0, parts: [WHOLE], ended: [] }

/**
 * Returns the history after one more attempt. Throws `corrupt` if no part with the rows of the attempt is
 * open.
 */
export function withAttempt(history: RequestHistory, attempt: UnownedAttempt): RequestHistory {
  const positions = positionsOf(attempt)
  const part = history.parts.find(open => samePositions(open.positions, positions))
  if (part === undefined) throw notOpen(attempt)
  const others = history.parts.filter(open => open !== part)
  if (isIntent(attempt)) {
    const intended = { ...part, intent: attempt, intents: part.intents + 1 }
    return { ...history, parts: [...others, intended] }
  }
  const next = nextParts(attempt)
  if (next === 'throttled' && part.intent === null) return history
  if (next === 'throttled') return { ...history, parts: [...others, { ...part, intent: null, intents: 0 }] }
  const sent = attempt.attempt > 0 ? 1 : 0
  const kept = withoutAnswer(attempt)
  const parts = next.map(following => partAfter(part, kept, following))
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

/** Returns the parts that follow an attempt; `throttled` if it changes nothing. */
function nextParts(attempt: UnownedAttempt): readonly NextPart[] | 'throttled' {
  const { outcome, final } = attempt
  // An attempt of an earlier version lacks this field.
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
    uncertain: uncertainAfter(part.uncertain, attempt),
    // If the part may have been sent before this attempt, its rows are already uncertain.
    maybeSent: false,
    intent: null,
    intents: 0,
    triedNewToken: part.triedNewToken || (isSame && isRefusal(attempt)),
    tokenRefused: !part.triedNewToken && isSame && isRefusal(attempt),
    firstAt: part.firstAt ?? (sent === 1 ? attempt.startedAt : null),
    // An attempt 0 that only divided the rows sent nothing.
    last: attempt.attempt === 0 ? part.last : attempt,
    waitMs: next.waitMs,
  }
}

function goesOnWhole(next: readonly NextPart[]): boolean {
  return next.some(({ rows }) => rows === null)
}

/** True if each row of a part goes on in one of the next parts. Then the attempt finishes no row. */
function allGoOn(positions: Positions, next: readonly NextPart[]): boolean {
  if (positions === null) return false
  return next.reduce((sum, { rows }) => sum + (rows?.length ?? 0), 0) === positions.length
}

/** True for an attempt whose token was refused. Without tokens, the refusal is an ordinary rejection. */
function isRefusal({ status, attempt }: UnownedAttempt): boolean {
  return status === 401 && attempt > 0
}

/**
 * Drops what was sent and answered, which the effects of an attempt do not need. Up to 10,000 attempts are in
 * memory, and an answer may have 64 KiB.
 */
function withoutAnswer(attempt: UnownedAttempt): UnownedAttempt {
  return { ...attempt, requestHeaders: {}, responseHeaders: {}, responseBody: null, partBody: null }
}

/** The longest wait of a part in a run, even if a record says more. */
const MAX_WAIT_MS = 7 * 86_400_000

/**
 * Returns how much longer, in ms, a part waits for the attempt that a predecessor planned. It is never more
 * than the whole pause, even if the predecessor's clock differs.
 */
export function leftOfWaitMs({ last, waitMs }: PartHistory): number {
  if (last === null) return 0
  return Math.min(last.startedAt + last.durationMs + waitMs - Date.now(), waitMs, MAX_WAIT_MS)
}

function pauseOf({ nextTryAt, startedAt, durationMs }: UnownedAttempt): number {
  // An attempt of an earlier version lacks this time.
  return typeof nextTryAt === 'number' ? nextTryAt - startedAt - durationMs : 0
}

/** Requests that fit in here are hashed in one call, which costs half as much. */
const piece = Buffer.allocUnsafeSlow(4096)

/** Returns the SHA-256, in hex, of all that makes two requests the same to a server. */
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

/** Returns the idempotency key of a request, or of a part of it, after `answers` answers in this run. */
export function ownKey(request: {
  readonly incarnation: string
  readonly run: number
  readonly partition: number
  readonly seq: number
  readonly positions: Positions
  readonly answers: number
}): string {
  const { incarnation, run, partition, seq, positions, answers } = request
  const part = positions === null ? '' : `/${positionsText(positions)}`
  const text = `${incarnation}/${run}/${partition}/${seq}${part}/${answers}`
  return hash('sha256', text, 'hex').slice(0, 32)
}

/**
 * Returns the idempotency key with which an earlier run sent the same request, or null. The earlier request
 * must have had the same rows, method, URL and body. Its outcome must be unknown, and its last attempt must
 * have had no answer, so that the API can have stored none under the key.
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

function positionsOf({ part }: Pick<Attempt, 'part'>): Positions {
  // An attempt of an earlier version lacks this field.
  return Array.isArray(part) ? part : null
}

/** Uncertain rows: all, none, or those with these seqs. An earlier attempt of them may have been applied. */
export type UncertainRows = boolean | ReadonlySet<number>

export function isUncertain(uncertain: UncertainRows, { seq }: { readonly seq: number }): boolean {
  return typeof uncertain === 'boolean' ? uncertain : uncertain.has(seq)
}

/**
 * Returns the uncertain rows after an attempt. An attempt lists the rows with an outcome of their own, and
 * each row that is unknown and stays open.
 */
function uncertainAfter(
  uncertain: UncertainRows,
  { outcome, rows }: Pick<Attempt, 'outcome' | 'rows'>,
): UncertainRows {
  if (uncertain === true) return true
  if (rows.length === 0) return outcome === 'unknown' ? true : uncertain
  const unknown = rows.filter(row => row.outcome === 'unknown').map(({ seq }) => seq)
  if (unknown.length === 0) return uncertain
  return new Set([...(uncertain === false ? [] : uncertain), ...unknown])
}

interface KnownRequest {
  readonly history: RequestHistory
  /** The offset of its first attempt. */
  readonly firstAttempt: number
}

export interface Recovered {
  readonly checkpoint: Checkpoint
  /** The requests at or above the checkpoint that have attempts, by offset in `requests`. */
  readonly known: ReadonlyMap<number, KnownRequest>
  /**
   * True if nothing was under way: there was no predecessor, or its last record is `run-end` or `release`.
   * Each owner writes a `run-begin` marker before it sends the first request of a run.
   */
  readonly clean: boolean
}

/**
 * Reads where the predecessor stopped (PROTOCOL.md §5, §8). The caller has written its takeover marker
 * before. Throws `corrupt` if no record has a checkpoint.
 */
export async function recoverLedger(options: {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly incarnation: string
  readonly requests: TopicPartition
  readonly attempts: TopicPartition
  /** The reader holds at most this many bytes ahead. */
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
  // Only the last attempt of an append has a checkpoint, and a crash may have lost the end of an append.
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
