/** Requests that people tried out, as attempts with the mark `test`. */
import type { AttemptView } from '@sluice/contracts/api'
import type { TestAttempt } from '@sluice/contracts/test-records'
import { mayBeCut } from '@sluice/history/attempt-rows'
import type { TopicsDeps } from '@sluice/history/read-records'
import { decodeEach } from '@sluice/topics/owned-reader'
import { at, sharedTopics } from '@sluice/topics/topics'
import { matches, matchesRequest, type AttemptsFilter } from './attempt-filter.ts'
import { cutBodiesOf } from './attempt-views.ts'

export interface TestsOf {
  /** Only tests of this sync. */
  readonly sync: string | null
  /** Its run is the id of a test. */
  readonly filter: AttemptsFilter
}

/** `run` has the id of the test, which belongs to no run. */
export function testView(
  attempt: TestAttempt,
  { details = true }: { readonly details?: boolean } = {},
): AttemptView {
  const { id, sync, trigger, keys, method, url, status, outcome, error, durationMs } = attempt
  return {
    ...{ requestId: `test.${id}`, run: id, sync, trigger, attempt: outcome === 'unsent' ? 0 : 1 },
    ...{ keys: [...keys], method, url, status, outcome },
    startedAt: new Date(attempt.startedAt).toISOString(),
    durationMs,
    requestHeaders: details ? { ...attempt.requestHeaders } : {},
    requestBody: details ? attempt.requestBody : null,
    responseHeaders: details ? { ...attempt.responseHeaders } : {},
    responseBody: details ? attempt.responseBody : null,
    error,
    ...(details ? cutBodiesOf({ ...attempt, ...cutRequest(attempt) }) : {}),
    test: true,
  }
}

/** Of a test, the beginning of the body is recorded, without its length. */
function cutRequest({ requestBody }: TestAttempt): { readonly requestBodyBytes?: null } {
  return mayBeCut(requestBody) ? { requestBodyBytes: null } : {}
}

/** The tests of one partition that have ended, the newest first, and where each stands. */
export async function* readTestsBackwards(
  { log, io, prefix }: TopicsDeps,
  of: TestsOf & { readonly partition: number; readonly before: number | undefined },
  signal: AbortSignal,
): AsyncGenerator<{ readonly attempt: TestAttempt; readonly offset: number }> {
  const { partition, before } = of
  const target = at(sharedTopics(prefix).tests, partition)
  for await (const stored of log.readBackwards(target, {
    signal,
    ...(before === undefined ? {} : { before }),
  })) {
    if (io.distrust(target.topic, stored) !== null) continue
    const [placed] = await decodeEach(io, [stored], signal)
    if (placed?.record?.name !== 'sluice.TestAttempt') continue
    const attempt = placed.record.value
    if (attempt.final && isMeant(of, attempt)) yield { attempt, offset: placed.offset }
  }
}

function isMeant({ sync, filter }: TestsOf, attempt: TestAttempt): boolean {
  if (sync !== null && attempt.sync !== sync) return false
  const { keys, requestBody } = attempt
  const asAttempt = { ...attempt, runId: attempt.id }
  return matches(filter, asAttempt) && matchesRequest(filter, { attempt, requestBody, keys })
}
