/** Attempts found by the index of history, with what the topics still hold of them. */
import type { AttemptsPage } from '@sluice/contracts/api'
import type { Attempt } from '@sluice/contracts/records'
import type { AttemptDetails, HistoryIndex, IndexedAttempt, SyncLife } from '@sluice/history/port'
import { readRecords, readRequests, type HeldRequest, type TopicsDeps } from '@sluice/history/read-records'
import type { Placed } from '@sluice/topics/owned-reader'
import type { AttemptsFilter } from './attempt-filter.ts'
import { attemptView, detailsOf, NO_DETAILS } from './attempt-views.ts'
import { formatCursor, parseCursor } from './cursor.ts'

interface IndexCursor {
  /** The id of the last attempt of the page before. */
  readonly before: number
}

/** True for a cursor that a page of the index gave. Throws `usage` for a text that is no cursor. */
export function isIndexCursor(text: string): boolean {
  return isIndexPlace(
    parseCursor(text, (value): value is object => typeof value === 'object' && value !== null),
  )
}

function isIndexPlace(value: unknown): value is IndexCursor {
  return (
    typeof value === 'object' && value !== null && 'before' in value && Number.isSafeInteger(value.before)
  )
}

export async function searchIndex(
  deps: TopicsDeps,
  index: HistoryIndex,
  of: {
    readonly lives: readonly SyncLife[]
    readonly filter: AttemptsFilter
    readonly limit: number
    readonly after: string | null
    readonly details: boolean
  },
  signal: AbortSignal,
): Promise<AttemptsPage> {
  const { lives, filter, limit, after, details } = of
  const { run, ...filters } = filter
  const before = after === null ? null : parseCursor(after, isIndexPlace).before
  const search = { ...filters, lives, runId: run?.id ?? null, limit, before }
  const { attempts, next } = await index.search(search, { signal })
  const lacking = details ? attempts.filter(attempt => attempt.details === null) : []
  const held = await heldDetails(deps, lacking, signal)
  return {
    attempts: attempts.map(attempt => {
      const shown = details ? (attempt.details ?? held.get(attempt.id) ?? NO_DETAILS) : NO_DETAILS
      return attemptView(attempt, { ...attempt, details: shown })
    }),
    next: next === null ? null : formatCursor({ before: next } satisfies IndexCursor),
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
