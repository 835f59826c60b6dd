/** The rows of a sync that were not delivered and will be tried again, read from its topic `retry`. */
import type { FailedPage, FailedRow } from '@sluice/contracts/api'
import type { RetryEntry } from '@sluice/contracts/records'
import { RecentMap } from '@sluice/flow/recent-map'
import type { TopicsDeps } from '@sluice/history/read-records'
import { readOwned } from '@sluice/topics/owned-reader'
import { at, isMarkerKey, keyText, syncTopics } from '@sluice/topics/topics'
import { formatCursor, isText, parseCursor } from './cursor.ts'
import { isAmong } from '@sluice/domain/answers/status-filter'
import { failedGroups, isInGroup, listId, type FailedGroup } from '@sluice/domain/answers/failed-group'

export interface FailedRowsQuery {
  readonly sync: string
  readonly incarnation: string
  readonly partitions: number
  /** Only rows whose last attempt was in the run of this number. */
  readonly run: number | null
  readonly key: string | null
  readonly status: number | null
  readonly group: FailedGroup | null
  readonly limit: number
  /** The `next` of the page before. */
  readonly after: string | null
}

/** A row with the place of the change that was not delivered. */
export interface KeptRow {
  readonly row: FailedRow
  readonly run: number
  readonly partition: number
  readonly seq: number
}

/** The rows of a sync, as its topic held them up to the offsets in `readTo`. */
interface KeptRows {
  readonly readTo: string
  /** By key. */
  readonly rows: readonly KeptRow[]
  readonly characters: number
}

/** At most this many characters of rows, of all syncs together, are kept between two pages. */
const MAX_KEPT_CHARACTERS = 16_000_000

/** Rows by sync, so that the next page, or the same list shown again, does not read the topic again. */
export type KeptFailedRows = RecentMap<string, KeptRows>

export function keptFailedRows(): KeptFailedRows {
  return new RecentMap({ limit: MAX_KEPT_CHARACTERS, weightOf: ({ characters }) => characters })
}

/**
 * Gives some rows, sorted by key. Throws `usage` for an `after` that is not a cursor. It takes the rows from
 * `kept` if the topic has not changed since. Otherwise it reads the whole topic, which is compacted to the
 * rows that fail now.
 */
export async function readFailedRows(
  deps: TopicsDeps,
  query: FailedRowsQuery,
  { signal, kept }: { readonly signal: AbortSignal; readonly kept?: KeptFailedRows | undefined },
): Promise<FoundRows> {
  const after = query.after === null ? null : parseCursor(query.after, isText)
  const all = await rowsOf(deps, query, { signal, kept })
  const matching = all.filter(({ row, run }) => matches(query, row, run))
  const found = matching.filter(({ row }) => after === null || row.key > after)
  return {
    rows: found.slice(0, query.limit),
    ahead: found.slice(query.limit),
    hasMore: found.length > query.limit,
    groups: groupsOf(matching, query),
    ...(query.run === null && query.group === null ? { group: listId(matching, query.status) } : {}),
  }
}

/** Returns the groups of these rows. The group of one row has no id, since others may fail for its reason. */
function groupsOf(
  rows: readonly KeptRow[],
  { incarnation, key }: FailedRowsQuery,
): NonNullable<FailedPage['groups']> {
  const groups = failedGroups(rows, incarnation)
  return key === null ? [...groups] : groups.map(({ id: _, ...group }) => group)
}

interface FoundRows {
  readonly rows: readonly KeptRow[]
  /** The rows of all later pages. */
  readonly ahead: readonly KeptRow[]
  readonly hasMore: boolean
  readonly groups: NonNullable<FailedPage['groups']>
  /** Names all rows of the list; absent for a list of one run or of one group. */
  readonly group?: string
}

/** The page of these rows. Its `next` is the `after` of the page after it. */
export function failedPageOf(
  rows: readonly FailedRow[],
  { hasMore, groups, group }: Pick<FoundRows, 'hasMore' | 'groups' | 'group'>,
): FailedPage {
  const last = rows.at(-1)
  const next = last !== undefined && hasMore ? formatCursor(last.key) : null
  return { rows: [...rows], next, groups, ...(group === undefined ? {} : { group }) }
}

async function rowsOf(
  deps: TopicsDeps,
  query: FailedRowsQuery,
  { signal, kept }: { readonly signal: AbortSignal; readonly kept?: KeptFailedRows | undefined },
): Promise<KeptRows['rows']> {
  const { sync, incarnation, partitions } = query
  const { retry } = syncTopics(deps.prefix, sync)
  const places = Array.from({ length: partitions }, (_, partition) => at(retry, partition))
  const ends = await Promise.all(places.map(async place => (await deps.log.offsets(place, { signal })).end))
  const readTo = [incarnation, ...ends].join(' ')
  const known = kept?.get(sync)
  if (known?.readTo === readTo) return known.rows
  const all: [string, RetryEntry, number][] = []
  for (let partition = 0; partition < partitions; partition += 1) {
    // A tombstone ends the entry in its own partition only. The key may have come back in another partition.
    const entries = new Map<string, RetryEntry>()
    await readPartition(deps, query, { partition, entries, signal })
    for (const [key, entry] of entries) all.push([key, entry, partition])
  }
  const rows = all
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, entry, partition]) => {
      const { run, seq } = entry
      return { row: { key, ...entryView(entry) }, run, partition, seq }
    })
  const characters = rows.reduce((sum, { row }) => sum + row.key.length + (row.error?.length ?? 0) + 100, 0)
  // A list that is larger than the limit of all kept lists would drive out the others.
  if (characters <= MAX_KEPT_CHARACTERS) kept?.set(sync, { readTo, rows, characters })
  return rows
}

async function readPartition(
  deps: TopicsDeps,
  query: FailedRowsQuery,
  reading: {
    readonly partition: number
    readonly entries: Map<string, RetryEntry>
    readonly signal: AbortSignal
  },
): Promise<void> {
  const { log, io, prefix } = deps
  const { partition, entries, signal } = reading
  const target = at(syncTopics(prefix, query.sync).retry, partition)
  const { low, end } = await log.offsets(target, { signal })
  if (low >= end) return
  const { incarnation } = query
  const range = { log, io, target, incarnation, stage: 'attempts', from: low, to: end, signal } as const
  for await (const batch of readOwned(range)) {
    for (const { key, record } of batch.records) {
      if (isMarkerKey(key)) continue
      if (record === null) entries.delete(keyText(key))
      if (record?.name === 'sluice.RetryEntry') entries.set(keyText(key), record.value)
    }
  }
}

function matches(query: FailedRowsQuery, row: FailedRow, run: number): boolean {
  const { key, status } = row
  const { group, incarnation } = query
  if (group !== null && !isInGroup(group, row, incarnation)) return false
  if (query.key !== null && key !== query.key) return false
  if (query.status !== null && !isAmong(query.status, status)) return false
  return query.run === null || run === query.run
}

/** An entry as people see it. */
export function entryView(entry: RetryEntry): Omit<FailedRow, 'key'> {
  const { op, outcome, status, error, attempts, runs, since } = entry
  return { op, outcome, status, error, attempts, runs, since: new Date(since).toISOString() }
}
