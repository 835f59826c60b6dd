/**
 * The columns of failed rows: the row of the change that was not delivered, from the topic `changes`. The
 * topic is read backwards, since most rows failed in one of the last runs.
 */
import type { FailedRow } from '@sluice/contracts/api'
import type { Change } from '@sluice/contracts/records'
import type { SyncLife } from '@sluice/history/port'
import type { TopicsDeps } from '@sluice/history/read-records'
import { decodeEach } from '@sluice/topics/owned-reader'
import { at, keyText, syncTopics } from '@sluice/topics/topics'
import type { KeptRow } from './read-failed-rows.ts'
import { shownRow } from './row/shown-row.ts'

/** A page has at most this many bytes of changes, or one row, so that wide rows do not fill the memory. */
const MAX_BYTES = 8_000_000

/**
 * Returns the first of these rows with their columns, as many as fit, and at least one. A row whose change is
 * no longer held has null. The rows come sorted by key. Rejects as the log does.
 */
export async function readFailedColumns(
  deps: TopicsDeps,
  { rows, sync, incarnation }: SyncLife & { readonly rows: readonly KeptRow[] },
  signal: AbortSignal,
): Promise<readonly FailedRow[]> {
  const page = new PageOfRows(rows)
  for (const [partition, some] of Map.groupBy(rows, each => each.partition)) {
    const wanted = new Map(some.map(each => [each.row.key, each]))
    const target = at(syncTopics(deps.prefix, sync).changes, partition)
    for await (const record of deps.log.readBackwards(target, { signal })) {
      const row = wanted.get(keyText(record.key))
      if (row === undefined || record.value === null) continue
      const [placed] = await decodeEach(deps.io, [record], signal)
      if (placed?.record?.name !== 'sluice.Change' || !isOf(row, incarnation, placed.record.value)) continue
      wanted.delete(row.row.key)
      page.take(row, { columns: columnsOf(placed.record.value), bytes: placed.bytes })
      if (wanted.size === 0) break
    }
  }
  return page.rows()
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
