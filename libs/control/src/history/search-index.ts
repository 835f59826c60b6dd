/** Attempts found by the index of history, with what the topics still hold of them. */
import type { AttemptsPage, AttemptView } from '@sluice/contracts/api'
import type { Attempt } from '@sluice/contracts/records'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { nextTurn } from '@sluice/flow/sleep'
import type { AttemptDetails, HistoryIndex, IndexedAttempt, SyncLife } from '@sluice/history/port'
import { readRecords, readRequests, type HeldRequest, type TopicsDeps } from '@sluice/history/read-records'
import type { Placed } from '@sluice/topics/owned-reader'
import type { AttemptsFilter } from './attempt-filter.ts'
import { attemptView, detailsOf, NO_DETAILS } from './attempt-views.ts'
import { areCursorEntries, findTests } from './read-attempts.ts'
import type { TestsOf } from './test-attempts.ts'
import { formatCursor, parseCursor } from './cursor.ts'

interface IndexCursor {
  /** The id of the last attempt so far; null before the first one. */
  readonly before: number | null
  /** Where the tests are read on, as in a cursor of the topics. */
  readonly tests: [string, number][]
}

/** True for a cursor that a page of the index gave. Throws `usage` for a text that is no cursor. */
export function isIndexCursor(text: string): boolean {
  return isIndexPlace(
    parseCursor(text, (value): value is object => typeof value === 'object' && value !== null),
  )
}

function isIndexPlace(value: unknown): value is IndexCursor {
  return (
    typeof value === 'object' &&
    value !== null &&
    'before' in value &&
    (value.before === null || Number.isSafeInteger(value.before)) &&
    'tests' in value &&
    areCursorEntries(value.tests)
  )
}

interface Search {
  readonly lives: readonly SyncLife[]
  readonly filter: AttemptsFilter
  /** The tests that are shown among the attempts; null for none. */
  readonly tests: TestsOf | null
  readonly limit: number
  readonly after: string | null
  readonly details: boolean
}

/**
 * Attempts with bodies that are read before others get a turn: as many as have so many characters, and at
 * least and at most so many.
 */
const TOGETHER = { characters: 500_000, least: 10, most: 50 }
/** A page ends, and the next one goes on there, once it has so many characters, or took so long. */
const MAX_CHARACTERS = 8_000_000
const MAX_MS = 2_000

/** A page, which may have fewer attempts than the limit and a `next`. */
export async function searchIndex(
  deps: TopicsDeps,
  index: HistoryIndex,
  of: Search,
  signal: AbortSignal,
): Promise<AttemptsPage> {
  if (!of.details) return await searchAtOnce(deps, index, of, signal)
  const startedAt = elapsedMs()
  const attempts: AttemptView[] = []
  let { after } = of
  let characters = 0
  for (let together = TOGETHER.least; ;) {
    const limit = Math.min(together, of.limit - attempts.length)
    const piece = await searchAtOnce(deps, index, { ...of, limit, after }, signal)
    attempts.push(...piece.attempts)
    characters += piece.attempts.reduce((sum, attempt) => sum + charactersOf(attempt), 0)
    const isFull = attempts.length >= of.limit || characters > MAX_CHARACTERS
    const isLate = piece.attempts.length < limit || elapsedMs() - startedAt > MAX_MS
    if (piece.next === null || isFull || isLate) return { attempts, next: piece.next }
    after = piece.next
    const fitting = Math.floor((TOGETHER.characters * attempts.length) / characters)
    together = Math.min(Math.max(fitting, TOGETHER.least), TOGETHER.most)
    await nextTurn()
  }
}

/** About so many, as JSON. */
function charactersOf({ requestBody, responseBody, keys }: AttemptView): number {
  const ofKeys = keys.reduce((sum, key) => sum + key.length, 0)
  return (requestBody?.length ?? 0) + (responseBody?.length ?? 0) + ofKeys + 1_000
}

async function searchAtOnce(
  deps: TopicsDeps,
  index: HistoryIndex,
  of: Search,
  signal: AbortSignal,
): Promise<AttemptsPage> {
  const { lives, filter, limit, after, details } = of
  const { run, ...filters } = filter
  const cursor = after === null ? { before: null, tests: [] } : parseCursor(after, isIndexPlace)
  const search = { ...filters, lives, runId: run?.id ?? null, limit, before: cursor.before }
  const { attempts, next } = await index.search(search, { signal })
  const places = new Map(cursor.tests)
  const tests = await findTests(deps, { ...of, cursor: places }, signal)
  // The order of ids stays, though very many attempts at once have ids that are later than their time.
  let sortedAs = Infinity
  const found = [
    ...attempts.map(attempt => {
      sortedAs = Math.min(sortedAs, attempt.startedAt)
      return { attempt, test: null, sortedAs }
    }),
    ...tests.map(test => ({ attempt: null, test, sortedAs: test.sortedAs })),
  ].toSorted((a, b) => b.sortedAs - a.sortedAs)
  const page = found.slice(0, limit)
  const shown = page.flatMap(({ attempt }) => (attempt === null ? [] : [attempt]))
  for (const { test } of page) if (test !== null) places.set(test.place, test.offset)
  // A search that ended early goes on where it ended, and not at the last attempt that it found.
  const before =
    shown.length === attempts.length && next !== null ? next : (shown.at(-1)?.id ?? cursor.before)
  const hasMore = next !== null || found.length > page.length
  const held = await heldDetails(deps, details ? shown.filter(one => one.details === null) : [], signal)
  return {
    attempts: page.flatMap(({ attempt, test }) => {
      if (attempt === null) return test === null ? [] : [test.view]
      const all = details ? (attempt.details ?? held.get(attempt.id) ?? NO_DETAILS) : NO_DETAILS
      return [attemptView(attempt, { ...attempt, details: all })]
    }),
    next: hasMore ? formatCursor({ before, tests: [...places] } satisfies IndexCursor) : null,
  }
}

/** Headers and bodies as the topics still hold them, by the id of the attempt. */
async function heldDetails(
  deps: TopicsDeps,
  attempts: readonly IndexedAttempt[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, AttemptDetails>> {
  const found = new Map<number, AttemptDetails>()
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
      const [records, requests] = await Promise.all([
        readRecords(deps, { ...first, topic: 'attempts', offsets, pick }, signal),
        readRequests(
          deps,
          {
            ...first,
            offsets: some.map(({ requestOffset }) => requestOffset),
            pick: ({ value }: HeldRequest) => value,
          },
          signal,
        ),
      ])
      for (const { id, offset, requestOffset } of some) {
        const record = records.get(offset)
        if (record !== undefined) found.set(id, detailsOf(record, requests.get(requestOffset) ?? null))
      }
    }),
  )
  return found
}
