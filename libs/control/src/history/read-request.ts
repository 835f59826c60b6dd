/** One request with all attempts at it. */
import type { RequestView } from '@sluice/contracts/api'
import type { Attempt } from '@sluice/contracts/records'
import { isIntent } from '@sluice/domain/answers/intent'
import { bodyOf, keysOf } from '@sluice/history/attempt-rows'
import type { IndexedAttempt } from '@sluice/history/port'
import {
  readRecords,
  readRequests,
  type HeldRequest,
  type SyncPartition,
  type TopicsDeps,
} from '@sluice/history/read-records'
import { decodeEach, type Placed } from '@sluice/topics/owned-reader'
import { at, syncTopics } from '@sluice/topics/topics'
import { attemptView, detailsOf, NO_DETAILS, requestIdOf } from './attempt-views.ts'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

export interface RequestPlace extends SyncPartition {
  readonly runId: string
  /** The number of its run. */
  readonly run: number
  readonly seq: number
}

/** Reads backwards in its partition of `attempts`. Null if the topic holds no attempt at it. */
export async function readRequest(
  deps: TopicsDeps,
  place: RequestPlace,
  signal: AbortSignal,
): Promise<RequestView | null> {
  const { log, io, prefix } = deps
  const { sync, partition, incarnation, runId, run, seq } = place
  const attempts: Attempt[] = []
  const target = at(syncTopics(prefix, sync).attempts, partition)
  for await (const stored of log.readBackwards(target, { signal })) {
    const [placed] = await decodeEach(io, [stored], signal)
    if (placed?.record?.name !== 'sluice.Attempt') continue
    const attempt = placed.record.value
    if (attempt.incarnation !== incarnation || isIntent(attempt)) continue
    if (attempt.run < run) break
    if (attempt.runId === runId && attempt.seq === seq) attempts.unshift(attempt)
  }
  const request = await heldRequest(deps, { ...place, attempts }, signal)
  return requestViewOf(
    place,
    request,
    attempts.map(attempt => ({ facts: attempt, attempt, indexed: null })),
  )
}

/** The same from the index, which has the attempts; the topics have what it does not keep. */
export async function readIndexedRequest(
  deps: TopicsDeps,
  of: { readonly attempts: readonly IndexedAttempt[] },
  signal: AbortSignal,
): Promise<RequestView | null> {
  const { attempts } = of
  const [first] = attempts
  if (first === undefined) return null
  const request = await heldRequest(deps, { ...first, attempts }, signal)
  const pick = ({ record }: Placed): Attempt | undefined =>
    record?.name === 'sluice.Attempt' && record.value.incarnation === first.incarnation
      ? record.value
      : undefined
  const offsets = attempts.map(({ offset }) => offset)
  const held = await readRecords(deps, { ...first, topic: 'attempts', offsets, pick }, signal)
  return requestViewOf(
    first,
    request,
    attempts.map(indexed => ({ facts: indexed, attempt: held.get(indexed.offset) ?? null, indexed })),
  )
}

async function heldRequest(
  deps: TopicsDeps,
  of: SyncPartition & { readonly attempts: readonly { readonly requestOffset: number }[] },
  signal: AbortSignal,
): Promise<HeldRequest | null> {
  const [first] = of.attempts
  if (first === undefined) return null
  const { requestOffset } = first
  const wanted = { ...of, offsets: [requestOffset], pick: (held: HeldRequest) => held }
  return (await readRequests(deps, wanted, signal)).get(requestOffset) ?? null
}

/** An attempt as its topic holds it, as the index holds it, or both. */
interface EitherAttempt {
  readonly facts: Attempt | IndexedAttempt
  readonly attempt: Attempt | null
  readonly indexed: IndexedAttempt | null
}

function requestViewOf(
  { sync, partition }: SyncPartition,
  held: HeldRequest | null,
  attempts: readonly EitherAttempt[],
): RequestView | null {
  const request = held?.value ?? null
  let freeFrom = held?.timestamp ?? null
  const views = attempts.map(({ facts, attempt, indexed }) => {
    const keys = indexed?.keys ?? keysOf(attempt ?? {}, request?.rows ?? [])
    // The topics hold whole bodies, for as long as they hold them.
    const isHeld = attempt !== null && (request !== null || (indexed?.details ?? null) === null)
    const details = isHeld ? detailsOf(attempt, request) : (indexed?.details ?? NO_DETAILS)
    const queuedMs = freeFrom === null ? null : Math.max(0, facts.startedAt - freeFrom)
    freeFrom = facts.startedAt + facts.durationMs
    return {
      ...attemptView(facts, { sync, partition, keys, details }),
      timing: { queuedMs, limitMs: null, firstByteMs: null, durationMs: facts.durationMs },
      rows: (attempt?.rows ?? []).map(({ seq, outcome, error }) => {
        return { key: request?.rows.find(row => row.seq === seq)?.key ?? null, outcome, error }
      }),
    }
  })
  const first = attempts[0]?.facts
  if (first === undefined) return null
  return {
    ...{ requestId: requestIdOf(first, partition), run: first.runId, sync, trigger: first.trigger },
    request: held === null ? null : shownRequest(held),
    attempts: views,
  }
}

function shownRequest({ value, timestamp }: HeldRequest): RequestView['request'] {
  const isRendered = 'body' in value
  const body = bodyOf(value)
  return {
    method: isRendered ? value.method : '',
    path: isRendered ? value.path : '',
    headers: isRendered ? { ...value.headers } : {},
    body: body === null ? null : decoder.decode(body),
    rows: value.rows.map(({ key, op }) => ({ key, op })),
    renderedAt: new Date(timestamp).toISOString(),
    error: isRendered ? null : value.error,
  }
}
