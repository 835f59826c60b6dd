/** Attempts as people see them. */
import type { AttemptView } from '@sluice/contracts/api'
import type { Attempt } from '@sluice/contracts/records'
import { mayBeCut } from '@sluice/history/attempt-rows'
import type { AttemptDetails, AttemptFacts } from '@sluice/history/port'

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
  return { run: run.toUpperCase(), partition: Number(partition), seq: Number(seq) }
}

export const NO_DETAILS: AttemptDetails = {
  requestHeaders: {},
  requestBody: null,
  responseHeaders: {},
  responseBody: null,
}

export function attemptView(
  attempt: Omit<AttemptFacts, 'run' | 'requestOffset' | 'offset' | 'keys' | 'details'>,
  {
    sync,
    partition,
    keys,
    details,
  }: {
    readonly sync: string
    readonly partition: number
    readonly keys: readonly string[]
    readonly details: AttemptDetails
  },
): AttemptView {
  const { requestHeaders, requestBody, responseHeaders, responseBody } = details
  return {
    requestId: requestIdOf(attempt, partition),
    run: attempt.runId,
    sync,
    trigger: attempt.trigger,
    attempt: attempt.attempt,
    keys: [...keys],
    method: attempt.method,
    url: attempt.url,
    status: attempt.status,
    outcome: attempt.outcome,
    startedAt: new Date(attempt.startedAt).toISOString(),
    durationMs: attempt.durationMs,
    requestHeaders: { ...requestHeaders },
    requestBody,
    responseHeaders: { ...responseHeaders },
    responseBody,
    error: attempt.error,
    ...cutBodiesOf(details),
  }
}

/** The full lengths of bodies of which only the beginning is kept. */
export function cutBodiesOf(
  details: AttemptDetails,
): Pick<AttemptView, 'requestBodyBytes' | 'responseBodyBytes'> {
  const { requestBodyBytes, responseHeaders, responseBody } = details
  const responseBodyBytes = wholeAnswerBytes(responseHeaders, responseBody)
  return {
    ...(requestBodyBytes === undefined ? {} : { requestBodyBytes }),
    ...(responseBodyBytes === undefined ? {} : { responseBodyBytes }),
  }
}

/** The length that the answer's header says; null without one, and undefined for a whole answer. */
function wholeAnswerBytes(
  headers: AttemptDetails['responseHeaders'],
  body: string | null,
): number | null | undefined {
  if (!mayBeCut(body)) return undefined
  const lowerCased = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  // The header has the length of the encoded body.
  const length = lowerCased.has('content-encoding') ? NaN : Number(lowerCased.get('content-length') ?? NaN)
  if (!Number.isSafeInteger(length)) return null
  return length > new TextEncoder().encode(body ?? '').length ? length : undefined
}
