/** Searches attempts, with the tests among them, and adds what the topics still hold of them. */
import type { AttemptsPage, AttemptView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import type { Attempt } from '@sluice/contracts/records'
import { statusRange } from '@sluice/domain/answers/status-filter'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { nextTurn } from '@sluice/flow/sleep'
import { attemptDetails, wholeBody, type KeptBody } from '@sluice/history/attempt-rows'
import type {
  AttemptDetails,
  AttemptFilter,
  FoundAttempt,
  HistoryReader,
  NumberedRun,
  PartitionOffsets,
  SearchPlace,
  SyncLife,
} from '@sluice/history/port'
import { readRecords, readRequests, type HeldRequest, type TopicsDeps } from '@sluice/history/read-records'
import { inTopicOrder } from '@sluice/history/topics-reader'
import type { Placed } from '@sluice/topics/owned-reader'
import type { AttemptsQuery } from '../port.ts'
import { attemptView, NO_DETAILS } from './attempt-views.ts'
import { formatCursor, parseCursor } from './cursor.ts'
import { findTests, type TestFilter } from './test-attempts.ts'

/** The filter of a query. Throws `usage` for a status that is none. */
export function filterOf(query: AttemptsQuery, run: NumberedRun | null): AttemptFilter {
  const { key, trigger, status, outcome, since, until, search, searchesBodies } = query
  const range = status === undefined ? null : statusRange(status)
  if (status !== undefined && range === null)
    throw new SluiceError('usage', `\`${status}\` is no HTTP status: give one such as 422, or 4xx.`)
  return {
    run,
    key: key ?? null,
    trigger: trigger ?? null,
    status: range,
    outcome: outcome ?? null,
    since: since ?? null,
    until: until ?? null,
    search: search?.toLowerCase() ?? null,
    searchesBodies: searchesBodies === true,
  }
}

interface Cursor {
  /** The place after the last attempt so far; null before the first one. */
  readonly before: SearchPlace | null
  /** The offsets below which the tests are read. */
  readonly tests: PartitionOffsets
}

/**
 * The place where a search goes on, which only the reader that gave it understands. Null before the first
 * attempt. Throws `usage` for a text that is no cursor.
 */
export function placeIn(cursor: string): SearchPlace | null {
  return parseCursor(cursor, isCursor).before
}

function isCursor(value: unknown): value is Cursor {
  if (typeof value !== 'object' || value === null || !('before' in value) || !('tests' in value)) return false
  const { before, tests } = value
  return (before === null || Number.isSafeInteger(before) || areOffsets(before)) && areOffsets(tests)
}

function areOffsets(value: unknown): value is PartitionOffsets {
  return (
    Array.isArray(value) &&
    value.every(
      entry => Array.isArray(entry) && typeof entry[0] === 'string' && Number.isSafeInteger(entry[1]),
    )
  )
}

interface Search {
  readonly lives: readonly SyncLife[]
  readonly filter: AttemptFilter
  /** Chooses the tests that are shown among the attempts; null for none. */
  readonly tests: TestFilter | null
  readonly limit: number
  readonly after: string | null
  /** False to leave out headers and bodies. */
  readonly details: boolean
}

/**
 * Attempts with bodies are read in pieces, so that other requests get their turn. A piece has at least `min`
 * and at most `max` attempts, and about this many characters.
 */
const PIECE = { characters: 500_000, min: 10, max: 50 }
/** A page ends once it has this many characters, or took this long. The next page continues there. */
const MAX_CHARACTERS = 8_000_000
const MAX_MS = 2_000

/** Gives a page. It may have fewer attempts than the limit, and still a `next`. */
export async function searchAttempts(
  deps: TopicsDeps,
  reader: HistoryReader,
  search: Search,
  signal: AbortSignal,
): Promise<AttemptsPage> {
  if (!search.details) return await searchAtOnce(deps, reader, search, signal)
  const startedAt = elapsedMs()
  const attempts: AttemptView[] = []
  let { after } = search
  let characters = 0
  for (let size = PIECE.min; ;) {
    const limit = Math.min(size, search.limit - attempts.length)
    const piece = await searchAtOnce(deps, reader, { ...search, limit, after }, signal)
    attempts.push(...piece.attempts)
    characters += piece.attempts.reduce((sum, attempt) => sum + charactersOf(attempt), 0)
    const isFull = attempts.length >= search.limit || characters > MAX_CHARACTERS
    const isLate = piece.attempts.length < limit || elapsedMs() - startedAt > MAX_MS
    if (piece.next === null || isFull || isLate) return { attempts, next: piece.next }
    after = piece.next
    const fitting = Math.floor((PIECE.characters * attempts.length) / characters)
    size = Math.min(Math.max(fitting, PIECE.min), PIECE.max)
    await nextTurn()
  }
}

/** The length of an attempt as JSON, about. */
function charactersOf({ requestBody, responseBody, keys }: AttemptView): number {
  const ofKeys = keys.reduce((sum, key) => sum + key.length, 0)
  return (requestBody?.length ?? 0) + (responseBody?.length ?? 0) + ofKeys + 1_000
}

async function searchAtOnce(
  deps: TopicsDeps,
  reader: HistoryReader,
  { lives, filter, tests: testFilter, limit, after, details }: Search,
  signal: AbortSignal,
): Promise<AttemptsPage> {
  const cursor: Cursor = after === null ? { before: null, tests: [] } : parseCursor(after, isCursor)
  const { before } = cursor
  const found = await reader.search({ ...filter, lives, limit, before }, { signal })
  const offsets = new Map(cursor.tests)
  const tests =
    testFilter === null ? [] : await findTests(deps, { ...testFilter, limit, details, offsets }, signal)
  const { lookedBackTo } = found
  // Attempts keep the order of their topic. So an attempt may be sorted by an earlier time than its start.
  const all = [
    ...inTopicOrder(found.attempts.map(attempt => ({ attempt, test: null, sortedAs: attempt.startedAt }))),
    ...tests.map(test => ({ attempt: null, test, sortedAs: test.sortedAs })),
  ].toSorted((a, b) => b.sortedAs - a.sortedAs)
  // A test that is older than all attempts searched so far belongs to a later page.
  const due = all.filter(one => one.test === null || lookedBackTo === null || one.sortedAs >= lookedBackTo)
  const page = due.slice(0, limit)
  const shown = page.flatMap(({ attempt }) => (attempt === null ? [] : [attempt]))
  for (const { test } of page) if (test !== null) offsets.set(test.partition, test.offset)
  const hasMore = found.hasMore || all.length > page.length
  const next: Cursor = { before: found.placeAfter(shown.length), tests: [...offsets] }
  const held = await heldDetails(deps, details ? shown.filter(one => one.details === null) : [], signal)
  return {
    attempts: page.flatMap(({ attempt, test }) => {
      if (attempt === null) return test === null ? [] : [test.view]
      const { sync, partition, keys } = attempt
      const own = details ? (attempt.details ?? held.get(attempt) ?? NO_DETAILS) : NO_DETAILS
      return [attemptView(attempt, { sync, partition, keys, details: own })]
    }),
    next: hasMore ? formatCursor(next) : null,
  }
}

/** Headers and bodies as the topics still hold them. */
async function heldDetails(
  deps: TopicsDeps,
  attempts: readonly FoundAttempt[],
  signal: AbortSignal,
): Promise<ReadonlyMap<FoundAttempt, AttemptDetails>> {
  const found = new Map<FoundAttempt, AttemptDetails>()
  const byPartition = Map.groupBy(attempts, ({ sync, partition }) => `${sync}/${partition}`)
  await Promise.all(
    [...byPartition.values()].map(async some => {
      const [first] = some
      if (first === undefined) return
      const offsets = some.map(({ offset }) => offset)
      const pick = ({ record }: Placed): Attempt | undefined =>
        record?.name === 'sluice.Attempt' && record.value.incarnation === first.incarnation
          ? record.value
          : undefined
      const requestOffsets = some.map(({ requestOffset }) => requestOffset)
      const pickBody = ({ value }: HeldRequest): KeptBody => wholeBody(value)
      const [records, bodies] = await Promise.all([
        readRecords(deps, { ...first, topic: 'attempts', offsets, pick }, signal),
        readRequests(deps, { ...first, offsets: requestOffsets, pick: pickBody }, signal),
      ])
      for (const attempt of some) {
        const record = records.get(attempt.offset)
        if (record === undefined) continue
        found.set(attempt, attemptDetails(record, bodies.get(attempt.requestOffset) ?? null))
      }
    }),
  )
  return found
}
