/** Requests that people tried out, as attempts with the mark `test`. */
import type { AttemptView } from '@sluice/contracts/api'
import type { TestAttempt } from '@sluice/contracts/test-records'
import { matches, matchesRequest } from '@sluice/history/attempt-filter'
import { mayBeCut } from '@sluice/history/attempt-rows'
import type { AttemptFilter } from '@sluice/history/port'
import type { TopicsDeps } from '@sluice/history/read-records'
import { inTopicOrder } from '@sluice/history/topics-reader'
import { decodeEach } from '@sluice/topics/owned-reader'
import { at, homePartition, SHARED_PARTITIONS, sharedTopics } from '@sluice/topics/topics'
import { cutBodiesOf } from './attempt-views.ts'

export interface TestFilter {
  /** Only tests of this sync. */
  readonly sync: string | null
  /** The `run` of this filter is the id of a test. */
  readonly filter: AttemptFilter
}

/** A test, with its place in the topic `tests`. */
export interface FoundTest {
  readonly view: AttemptView
  /** The sort key: ms since 1970. */
  readonly sortedAs: number
  /** The name of its partition. */
  readonly partition: string
  readonly offset: number
}

interface TestSearch extends TestFilter {
  readonly limit: number
  /** False to leave out headers and bodies. */
  readonly details: boolean
  /** The offsets below which partitions are read, by name. */
  readonly offsets: ReadonlyMap<string, number>
}

/** The newest tests that match, of each partition at most one more than the limit. */
export async function findTests(
  deps: TopicsDeps,
  search: TestSearch,
  signal: AbortSignal,
): Promise<readonly FoundTest[]> {
  // The tests of a sync are all in one partition.
  const partitions =
    search.sync === null
      ? Array.from({ length: SHARED_PARTITIONS }, (_, index) => index)
      : [homePartition(search.sync)]
  const found: FoundTest[] = []
  for (const partition of partitions)
    found.push(...inTopicOrder(await testsIn(deps, { ...search, partition }, signal)))
  return found
}

/** The tests of one partition that have ended, the newest first. */
async function testsIn(
  { log, io, prefix }: TopicsDeps,
  search: TestSearch & { readonly partition: number },
  signal: AbortSignal,
): Promise<readonly FoundTest[]> {
  const { limit, offsets } = search
  const partition = `tests/${search.partition}`
  const before = offsets.get(partition)
  const target = at(sharedTopics(prefix).tests, search.partition)
  const reading = { signal, ...(before === undefined ? {} : { before }) }
  const found: FoundTest[] = []
  for await (const stored of log.readBackwards(target, reading)) {
    if (io.distrust(target.topic, stored) !== null) continue
    const [placed] = await decodeEach(io, [stored], signal)
    if (placed?.record?.name !== 'sluice.TestAttempt') continue
    const attempt = placed.record.value
    if (!attempt.final || !isMeant(search, attempt)) continue
    const view = testView(attempt, search)
    found.push({ view, sortedAs: attempt.startedAt, partition, offset: placed.offset })
    if (found.length > limit) break
  }
  return found
}

/** The field `run` of the view has the id of the test, since a test belongs to no run. */
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

/** Only the beginning of a test's body is recorded, without its length. */
function cutRequest({ requestBody }: TestAttempt): { readonly requestBodyBytes?: null } {
  return mayBeCut(requestBody) ? { requestBodyBytes: null } : {}
}

function isMeant({ sync, filter }: TestFilter, attempt: TestAttempt): boolean {
  if (sync !== null && attempt.sync !== sync) return false
  return matches(filter, { ...attempt, runId: attempt.id }) && matchesRequest(filter, attempt)
}
