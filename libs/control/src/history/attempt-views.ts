/** Attempts as people see them. */
import type { AttemptView } from '@sluice/contracts/api'
import type { Attempt, Request, Unrenderable } from '@sluice/contracts/records'
import { requestBodyOf } from './attempt-filter.ts'

/** The keys of the rows that it sent: of all rows of the request, or of those of a part. */
export function keysOf(attempt: Attempt, request: Request | Unrenderable | null): string[] {
  const keys = request?.rows.map(row => row.key) ?? []
  // An attempt of an earlier version has no such field.
  const part: readonly number[] | null | undefined = attempt.part
  return part === null || part === undefined ? keys : part.flatMap(position => keys[position] ?? [])
}

export function requestIdOf(attempt: Pick<Attempt, 'runId' | 'seq'>, partition: number): string {
  return `${attempt.runId}.${partition}.${attempt.seq}`
}

/** The parts of a request's id; null for a text that is none. */
export function parseRequestId(
  id: string,
): { readonly run: string; readonly partition: number; readonly seq: number } | null {
  const match = /^(?<run>[\w-]{1,64})\.(?<partition>\d{1,5})\.(?<seq>\d{1,15})$/.exec(id)?.groups
  if (match === undefined) return null
  const { run = '', partition, seq } = match
  return { run, partition: Number(partition), seq: Number(seq) }
}

export function attemptView(
  attempt: Attempt,
  of: {
    readonly request: Request | Unrenderable | null
    readonly sync: string
    readonly partition: number
    readonly keys: string[]
    /** False to leave out headers and bodies. */
    readonly details: boolean
  },
): AttemptView {
  const { request, sync, partition, keys, details } = of
  return {
    requestId: requestIdOf(attempt, partition),
    run: attempt.runId,
    sync,
    trigger: attempt.trigger,
    attempt: attempt.attempt,
    keys,
    method: attempt.method,
    url: attempt.url,
    status: attempt.status,
    outcome: attempt.outcome,
    startedAt: new Date(attempt.startedAt).toISOString(),
    durationMs: attempt.durationMs,
    requestHeaders: details ? { ...attempt.requestHeaders } : {},
    requestBody: details ? requestBodyOf(attempt, request) : null,
    responseHeaders: details ? { ...attempt.responseHeaders } : {},
    responseBody: details ? attempt.responseBody : null,
    error: attempt.error,
  }
}
