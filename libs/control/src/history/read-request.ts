/** One request with all attempts at it, read backwards from its partition of `attempts`. */
import type { RequestView } from '@sluice/contracts/api'
import type { Attempt } from '@sluice/contracts/records'
import { isIntent } from '@sluice/domain/answers/intent'
import { decodeEach } from '@sluice/topics/owned-reader'
import { at, syncTopics } from '@sluice/topics/topics'
import { attemptView, keysOf, requestIdOf } from './attempt-views.ts'
import type { HistoryDeps } from './history-deps.ts'
import { readRequests, type HeldRequest, type SyncPartition } from './read-requests.ts'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

export interface RequestPlace extends SyncPartition {
  readonly runId: string
  /** The number of its run. */
  readonly run: number
  readonly seq: number
}

/** Null if the topic holds no attempt at it. */
export async function readRequest(
  deps: HistoryDeps,
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
  return await requestViewOf(deps, { ...place, attempts }, signal)
}

/** The view of a request with these attempts, in their order. Null if there are none. */
async function requestViewOf(
  deps: HistoryDeps,
  of: SyncPartition & { readonly attempts: readonly Attempt[] },
  signal: AbortSignal,
): Promise<RequestView | null> {
  const { sync, partition, attempts } = of
  const [first] = attempts
  if (first === undefined) return null
  const held = (await readRequests(deps, { ...of, offsets: [first.requestOffset] }, signal)).get(
    first.requestOffset,
  )
  const request = held?.value ?? null
  let freeFrom = held?.timestamp ?? null
  const views = attempts.map(attempt => {
    const keys = keysOf(attempt, request)
    const queuedMs = freeFrom === null ? null : Math.max(0, attempt.startedAt - freeFrom)
    freeFrom = attempt.startedAt + attempt.durationMs
    return {
      ...attemptView(attempt, { request, sync, partition, keys, details: true }),
      timing: { queuedMs, limitMs: null, firstByteMs: null, durationMs: attempt.durationMs },
      rows: attempt.rows.map(({ seq, outcome, error }) => {
        return { key: request?.rows.find(row => row.seq === seq)?.key ?? null, outcome, error }
      }),
    }
  })
  const { runId, trigger } = first
  return {
    ...{ requestId: requestIdOf(first, partition), run: runId, sync, trigger },
    request: held === undefined ? null : shownRequest(held),
    attempts: views,
  }
}

function shownRequest({ value, timestamp }: HeldRequest): RequestView['request'] {
  const isRendered = 'body' in value
  return {
    method: isRendered ? value.method : '',
    path: isRendered ? value.path : '',
    headers: isRendered ? { ...value.headers } : {},
    body: isRendered && value.body !== null ? decoder.decode(value.body) : null,
    rows: value.rows.map(({ key, op }) => ({ key, op })),
    renderedAt: new Date(timestamp).toISOString(),
    error: isRendered ? null : value.error,
  }
}
