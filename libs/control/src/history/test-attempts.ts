/** Requests that people tried out, as attempts with the mark `test`. */
import type { AttemptView } from '@sluice/contracts/api'
import type { TestAttempt } from '@sluice/contracts/test-records'
import { decodeEach } from '@sluice/topics/owned-reader'
import { at, sharedTopics } from '@sluice/topics/topics'
import type { HistoryDeps } from './history-deps.ts'

export interface TestFilter {
  readonly sync: string | null
  /** The id of the test. */
  readonly id: string | null
  readonly key: string | null
  readonly status: number | null
  /** ms since 1970. */
  readonly since: number | null
}

/** `run` has the id of the test, which belongs to no run. */
export function testView(attempt: TestAttempt): AttemptView {
  const { id, sync, trigger, keys, method, url, status, outcome, error, durationMs } = attempt
  return {
    ...{ requestId: `test.${id}`, run: id, sync, trigger, attempt: outcome === 'unsent' ? 0 : 1 },
    ...{ keys: [...keys], method, url, status, outcome },
    startedAt: new Date(attempt.startedAt).toISOString(),
    durationMs,
    requestHeaders: { ...attempt.requestHeaders },
    requestBody: attempt.requestBody,
    responseHeaders: { ...attempt.responseHeaders },
    responseBody: attempt.responseBody,
    error,
    test: true,
  }
}

/** The tests of one partition that have ended, the newest first, and where each stands. */
export async function* readTestsBackwards(
  { log, io, prefix }: HistoryDeps,
  of: { readonly partition: number; readonly before: number | undefined; readonly filter: TestFilter },
  signal: AbortSignal,
): AsyncGenerator<{ readonly attempt: TestAttempt; readonly offset: number }> {
  const { partition, before, filter } = of
  const target = at(sharedTopics(prefix).tests, partition)
  for await (const stored of log.readBackwards(target, {
    signal,
    ...(before === undefined ? {} : { before }),
  })) {
    if (io.distrust(target.topic, stored) !== null) continue
    const [placed] = await decodeEach(io, [stored], signal)
    if (placed?.record?.name !== 'sluice.TestAttempt') continue
    const attempt = placed.record.value
    if (attempt.final && matches(filter, attempt)) yield { attempt, offset: placed.offset }
  }
}

function matches({ sync, id, key, status, since }: TestFilter, attempt: TestAttempt): boolean {
  return (
    (sync === null || attempt.sync === sync) &&
    (id === null || attempt.id === id) &&
    (key === null || attempt.keys.includes(key)) &&
    (status === null || attempt.status === status) &&
    (since === null || attempt.startedAt >= since)
  )
}
