/** One request with all attempts at it. */
import type { RequestView } from '@sluice/contracts/api'
import type { Attempt } from '@sluice/contracts/records'
import { attemptDetails, bodyOf, wholeBody } from '@sluice/history/attempt-rows'
import type { FoundAttempt } from '@sluice/history/port'
import { readRecords, readRequests, type HeldRequest, type TopicsDeps } from '@sluice/history/read-records'
import type { Placed } from '@sluice/topics/owned-reader'
import { attemptView, NO_DETAILS, requestIdOf } from './attempt-views.ts'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * The request of these attempts. They all belong to one request, and are in order. Null without an attempt.
 */
export async function readRequest(
  deps: TopicsDeps,
  attempts: readonly FoundAttempt[],
  signal: AbortSignal,
): Promise<RequestView | null> {
  const [first] = attempts
  if (first === undefined) return null
  const request = await heldRequest(deps, first, signal)
  const pick = ({ record }: Placed): Attempt | undefined =>
    record?.name === 'sluice.Attempt' && record.value.incarnation === first.incarnation
      ? record.value
      : undefined
  const offsets = attempts.map(({ offset }) => offset)
  const held = await readRecords(deps, { ...first, topic: 'attempts', offsets, pick }, signal)
  return {
    ...{ requestId: requestIdOf(first, first.partition), run: first.runId },
    ...{ sync: first.sync, trigger: first.trigger },
    request: request === null ? null : shownRequest(request),
    attempts: viewsOf(attempts, { request, held }),
  }
}

async function heldRequest(
  deps: TopicsDeps,
  attempt: FoundAttempt,
  signal: AbortSignal,
): Promise<HeldRequest | null> {
  const { requestOffset } = attempt
  const wanted = { ...attempt, offsets: [requestOffset], pick: (held: HeldRequest) => held }
  return (await readRequests(deps, wanted, signal)).get(requestOffset) ?? null
}

function viewsOf(
  attempts: readonly FoundAttempt[],
  { request, held }: { readonly request: HeldRequest | null; readonly held: ReadonlyMap<number, Attempt> },
): RequestView['attempts'] {
  const rows = request?.value.rows ?? []
  let freeFrom = request?.timestamp ?? null
  return attempts.map(attempt => {
    const { sync, partition, keys, startedAt, durationMs } = attempt
    const record = held.get(attempt.offset) ?? null
    // As long as the topics hold a record, its body is whole.
    const isHeld = record !== null && (request !== null || attempt.details === null)
    const details = isHeld
      ? attemptDetails(record, request === null ? null : wholeBody(request.value))
      : (attempt.details ?? NO_DETAILS)
    const queuedMs = freeFrom === null ? null : Math.max(0, startedAt - freeFrom)
    freeFrom = startedAt + durationMs
    return {
      ...attemptView(attempt, { sync, partition, keys, details }),
      timing: { queuedMs, limitMs: null, firstByteMs: null, durationMs },
      rows: (record?.rows ?? []).map(({ seq, outcome, error }) => {
        return { key: rows.find(row => row.seq === seq)?.key ?? null, outcome, error }
      }),
    }
  })
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
