/**
 * The columns of failed rows: the row of the change that was not delivered, from the topic `changes`. The
 * topic is read backwards, since most rows failed in one of the last runs.
 */
import type { FailedRow } from '@sluice/contracts/api'
import type { Change } from '@sluice/contracts/records'
import type { SyncLife } from '@sluice/history/port'
import type { TopicsDeps } from '@sluice/history/read-records'
import { RecentMap } from '@sluice/flow/recent-map'
import { decodeEach } from '@sluice/topics/owned-reader'
import { at, keyText, syncTopics } from '@sluice/topics/topics'
import type { KeptRow } from './read-failed-rows.ts'
import { shownRow } from './row/shown-row.ts'

/** A page has at most this many bytes of changes, or one row, so that wide rows do not fill the memory. */
const MAX_BYTES = 8_000_000

/** One pass through a topic keeps at most this many bytes of columns for later pages. */
const MAX_BYTES_AHEAD = 8_000_000
/** The columns of all syncs that are kept for later pages have at most this many bytes. */
const MAX_BYTES_KEPT = 16_000_000

/**
 * The columns of rows of later pages, by the places of the rows. A change never alters, so they stay right.
 */
interface ColumnsAhead {
  readonly found: ReadonlyMap<string, Found>
  readonly bytes: number
}

/** By sync and incarnation. */
export type KeptColumns = RecentMap<string, ColumnsAhead>

export function keptColumns(): KeptColumns {
  return new RecentMap({ limit: MAX_BYTES_KEPT, weightOf: ({ bytes }) => bytes })
}

interface WantedRows extends SyncLife {
  readonly rows: readonly KeptRow[]
  /** Rows of the pages after this one. Their columns are kept if they lie on the way. */
  readonly ahead: readonly KeptRow[]
}

/**
 * Returns the first of these rows with their columns, as many as fit, and at least one. A row whose change is
 * no longer held has null. The rows come sorted by key. Rejects as the log does.
 */
export async function readFailedColumns(
  deps: TopicsDeps,
  { rows, ahead, sync, incarnation }: WantedRows,
  { signal, kept }: { readonly signal: AbortSignal; readonly kept?: KeptColumns },
): Promise<readonly FailedRow[]> {
  const page = new PageOfRows(rows)
  const life = `${sync} ${incarnation}`
  const known = kept?.get(life)?.found ?? new Map<string, Found>()
  const later = new ColumnsToCome(ahead, known)
  for (const row of rows) {
    const found = known.get(placeOf(row))
    if (found !== undefined) page.take(row, found)
  }
  const missing = rows.filter(row => !known.has(placeOf(row)))
  for (const [partition, some] of Map.groupBy(missing, each => each.partition)) {
    const wanted = new Map(some.map(each => [each.row.key, each]))
    const target = at(syncTopics(deps.prefix, sync).changes, partition)
    let read = 0
    let enough = Infinity
    let isWhole = true
    for await (const record of deps.log.readBackwards(target, { signal })) {
      if (wanted.size === 0 && (read >= enough || !later.wantsMore(partition))) {
        isWhole = false
        break
      }
      read += 1
      const key = keyText(record.key)
      const row = wanted.get(key) ?? later.wants(partition, key)
      if (row === undefined || record.value === null) continue
      const [placed] = await decodeEach(deps.io, [record], signal)
      if (placed?.record?.name !== 'sluice.Change' || !isOf(row, incarnation, placed.record.value)) continue
      const found = { columns: columnsOf(placed.record.value), bytes: placed.bytes }
      if (!wanted.delete(key)) {
        later.take(row, found)
        continue
      }
      page.take(row, found)
      // As many records again are read for the pages to come, whose rows mostly lie among them.
      if (wanted.size === 0) enough = 2 * read
    }
    if (isWhole) later.giveUp(partition)
  }
  kept?.set(life, later)
  return page.rows()
}

const placeOf = ({ partition, run, seq }: KeptRow): string => `${partition} ${run} ${seq}`

/** Collects the columns of rows of later pages, as many as fit. */
class ColumnsToCome implements ColumnsAhead {
  readonly found = new Map<string, Found>()
  bytes = 0
  readonly #wanted = new Map<number, Map<string, KeptRow>>()

  /** `known` has the columns that an earlier page has kept. */
  constructor(rows: readonly KeptRow[], known: ReadonlyMap<string, Found>) {
    for (const [partition, some] of Map.groupBy(rows, each => each.partition))
      this.#wanted.set(partition, new Map(some.map(each => [each.row.key, each])))
    for (const row of rows) {
      const found = known.get(placeOf(row))
      if (found !== undefined) this.take(row, found)
    }
  }

  wants(partition: number, key: string): KeptRow | undefined {
    return this.#wanted.get(partition)?.get(key)
  }

  wantsMore(partition: number): boolean {
    return (this.#wanted.get(partition)?.size ?? 0) > 0
  }

  /** The topic does not hold the rest of these rows. */
  giveUp(partition: number): void {
    for (const row of this.#wanted.get(partition)?.values() ?? []) this.take(row, { columns: null, bytes: 0 })
  }

  take(row: KeptRow, found: Found): void {
    this.found.set(placeOf(row), found)
    this.bytes += found.bytes
    this.#wanted.get(row.partition)?.delete(row.row.key)
    if (this.bytes >= MAX_BYTES_AHEAD) this.#wanted.clear()
  }
}

interface Found {
  readonly columns: FailedRow['row']
  readonly bytes: number
}

/** The rows of a page, of which the last ones make room for the first ones. */
class PageOfRows {
  readonly #rows: readonly KeptRow[]
  readonly #places: ReadonlyMap<KeptRow, number>
  readonly #found = new Map<number, Found>()
  #bytes = 0
  #end: number

  constructor(rows: readonly KeptRow[]) {
    this.#rows = rows
    this.#places = new Map(rows.map((row, place) => [row, place]))
    this.#end = rows.length
  }

  take(row: KeptRow, found: Found): void {
    const place = this.#places.get(row) ?? this.#end
    if (place >= this.#end) return
    this.#found.set(place, found)
    this.#bytes += found.bytes
    while (this.#bytes > MAX_BYTES && this.#end > 1) {
      this.#end -= 1
      this.#bytes -= this.#found.get(this.#end)?.bytes ?? 0
      this.#found.delete(this.#end)
    }
  }

  rows(): readonly FailedRow[] {
    return this.#rows
      .slice(0, this.#end)
      .map(({ row }, place) => ({ ...row, row: this.#found.get(place)?.columns ?? null }))
  }
}

function isOf({ run, seq }: KeptRow, incarnation: string, change: Change): boolean {
  return change.incarnation === incarnation && change.run === run && change.seq === seq
}

/** A removal has the row as it was delivered. */
function columnsOf({ op, before, after }: Change): FailedRow['row'] {
  return shownRow(op === 'removed' ? before : after)
}
