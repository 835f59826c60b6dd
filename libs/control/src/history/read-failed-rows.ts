/** The rows of a sync that were not delivered and will be tried again, read from its topic `retry`. */
import type { FailedRow } from '@sluice/contracts/api'
import type { RetryEntry } from '@sluice/contracts/records'
import type { TopicsDeps } from '@sluice/history/read-records'
import { readOwned } from '@sluice/topics/owned-reader'
import { at, isMarkerKey, keyText, syncTopics } from '@sluice/topics/topics'
import { formatCursor, parseCursor } from './cursor.ts'
import { isAmong } from '@sluice/domain/answers/status-filter'
import { errorGroups, type ErrorGroup } from '@sluice/domain/answers/error-groups'

export interface FailedRowsQuery {
  readonly sync: string
  readonly incarnation: string
  readonly partitions: number
  /** Only rows whose last try was in the run of this number. */
  readonly run: number | null
  readonly key: string | null
  readonly status: number | null
  readonly limit: number
  /** The `next` of the page before. */
  readonly after: string | null
}

/**
 * Gives a page of rows, sorted by key. Its `next` is the `after` of the next page. Throws `usage` for an
 * `after` that is not a cursor. It reads the whole topic, which is compacted to the rows that are failing
 * now.
 */
export async function readFailedRows(
  deps: TopicsDeps,
  query: FailedRowsQuery,
  signal: AbortSignal,
): Promise<{ readonly rows: FailedRow[]; readonly next: string | null; readonly groups: ErrorGroup[] }> {
  const after = query.after === null ? null : parseCursor(query.after, isKey)
  const all: [string, RetryEntry][] = []
  for (let partition = 0; partition < query.partitions; partition += 1) {
    // A tombstone ends the entry in its own partition only. The key may have come back in another partition.
    const entries = new Map<string, RetryEntry>()
    await readPartition(deps, query, { partition, entries, signal })
    for (const entry of entries) all.push(entry)
  }
  const matching = all
    .filter(([key, entry]) => matches(query, key, entry))
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const found = matching.filter(([key]) => after === null || key > after)
  const page = found.slice(0, query.limit)
  const last = page.at(-1)
  return {
    rows: page.map(([key, entry]) => failedRow(key, entry)),
    next: last !== undefined && found.length > page.length ? formatCursor(last[0]) : null,
    groups: [...errorGroups(matching.map(([key, entry]) => failedRow(key, entry)))],
  }
}

function isKey(value: unknown): value is string {
  return typeof value === 'string'
}

async function readPartition(
  deps: TopicsDeps,
  query: FailedRowsQuery,
  into: {
    readonly partition: number
    readonly entries: Map<string, RetryEntry>
    readonly signal: AbortSignal
  },
): Promise<void> {
  const { log, io, prefix } = deps
  const { partition, entries, signal } = into
  const target = at(syncTopics(prefix, query.sync).retry, partition)
  const { low, end } = await log.offsets(target, { signal })
  if (low >= end) return
  const { incarnation } = query
  const reading = { log, io, target, incarnation, stage: 'attempts', from: low, to: end, signal } as const
  for await (const batch of readOwned(reading)) {
    for (const { key, record } of batch.records) {
      if (isMarkerKey(key)) continue
      if (record === null) entries.delete(keyText(key))
      if (record?.name === 'sluice.RetryEntry') entries.set(keyText(key), record.value)
    }
  }
}

function matches(query: FailedRowsQuery, key: string, entry: RetryEntry): boolean {
  if (query.key !== null && key !== query.key) return false
  if (query.status !== null && !isAmong(query.status, entry.status)) return false
  return query.run === null || entry.run === query.run
}

function failedRow(key: string, entry: RetryEntry): FailedRow {
  const { op, outcome, status, error, attempts, runs, since } = entry
  return { key, op, outcome, status, error, attempts, runs, since: new Date(since).toISOString() }
}
