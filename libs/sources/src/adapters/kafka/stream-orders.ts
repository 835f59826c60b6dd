/**
 * The order of the entries of a topic, and what it belongs to.
 *
 * Where Debezium tells the place of each change in the log of its database, that is the order, with the
 * offset behind it: entries of one place keep the order of the topic, and none shares its order with another.
 * So what a connector writes again has no higher order than what came before. Elsewhere the order is the
 * time, then partition and offset: a key may come in another partition once a topic got more of them. Within
 * a partition the time never goes back.
 *
 * A comparison decides which it is, since orders of both kinds cannot be compared.
 */
import { z } from 'zod'
import type { Entry, Position, SourcePlace } from './entry.ts'
import { LONG_DIGITS, PLACE_DIGITS } from './source-place.ts'

const DIGITS = 16
const PARTITION_DIGITS = 6
const ORDER_DIGITS = PLACE_DIGITS + DIGITS
const NO_PLACE = '0'.repeat(PLACE_DIGITS)

const history = z.object({
  topic: z.string(),
  by: z.enum(['time', 'source']),
  server: z.string().nullable(),
  node: z.string().nullable(),
})
/** What orders belong to, as the text in `StreamPosition`. */
export type TopicHistory = Readonly<z.infer<typeof history>>

export function historyText({ topic, by, server, node }: TopicHistory): string {
  return JSON.stringify({ topic, by, server, node })
}

/** Returns null for a text that no topic has. */
export function historyOf(text: string): TopicHistory | null {
  try {
    return history.parse(JSON.parse(text))
  } catch {
    return null
  }
}

const padded = (value: number): string => String(Math.max(0, Math.trunc(value))).padStart(DIGITS, '0')

function orderByTime(time: string, { partition, offset }: Position): string {
  return time + String(partition).padStart(PARTITION_DIGITS, '0') + padded(offset)
}

/** Returns the order of an entry whose partition has had this highest order so far. */
export function orderOf(
  { at, source, committedAt }: Entry,
  { by }: TopicHistory,
  highest: string | null,
): string {
  if (by === 'time') {
    const [time, before] = [padded(committedAt), highest?.slice(0, DIGITS) ?? '']
    return orderByTime(time > before ? time : before, at)
  }
  const before = highest?.slice(0, PLACE_DIGITS) ?? NO_PLACE
  // An entry without a place, such as a tombstone, stands where the one before stands.
  return (placeBehind(source, before) ?? before) + padded(at.offset)
}

/**
 * Returns the highest order of a partition behind an entry of this order. By places it ends with the latest
 * time so far (see `wentBack`).
 */
export function highestOf(
  order: string,
  { committedAt }: Entry,
  { by }: TopicHistory,
  before: string | null,
): string {
  if (by === 'time') return order
  const [time, latest] = [padded(committedAt), before?.slice(ORDER_DIGITS) ?? '']
  return order + (time > latest ? time : latest)
}

/**
 * True if the log of the database went back to an earlier place, as on a server that was restored: what a
 * connector only writes again is not later than all before.
 */
export function wentBack(
  { source, committedAt }: Entry,
  { by }: TopicHistory,
  highest: string | null,
): boolean {
  if (by === 'time' || highest === null) return false
  const [before, latest] = [highest.slice(0, PLACE_DIGITS), highest.slice(ORDER_DIGITS)]
  const place = placeBehind(source, before)
  return place !== null && place < before && latest !== '' && padded(committedAt) > latest
}

/** Returns the place of an entry. One that does not tell the last commit is placed behind the one before. */
function placeBehind(source: SourcePlace | undefined, before: string): string | null {
  const { place = null, lacksCommit = false } = source ?? {}
  return place === null || !lacksCommit ? place : before.slice(0, -LONG_DIGITS) + place.slice(-LONG_DIGITS)
}

/** Returns the history with what an entry tells of it; null if the entry is of another one. */
export function continued(before: TopicHistory, { source }: Entry): TopicHistory | null {
  if (source === undefined || before.by === 'time') return before
  const server = before.server ?? source.server
  const node = before.node ?? source.node
  if (source.server !== server || (source.node !== null && source.node !== node)) return null
  return server === before.server && node === before.node ? before : { ...before, server, node }
}

interface Highest {
  readonly place: string
  readonly offset: number
  readonly committedAt: number
}

/** Notes the orders of all entries of a topic, while a comparison reads them. */
export class SeenOrders {
  readonly #highest = new Map<number, Highest>()
  /** The latest time of each partition. */
  readonly #latest = new Map<number, number>()
  readonly #servers = new Set<string>()
  #last: string | null = null
  #node: string | null = null
  #isMixed = false
  #lacksPlaces = false
  #snapshot: { readonly place: string; readonly committedAt: number } | null = null
  #snapshotEndedAt = -Infinity

  see(entry: Entry): void {
    const { source, snapshot, committedAt, at } = entry
    const latest = this.#latest.get(at.partition) ?? 0
    this.#latest.set(at.partition, Math.max(committedAt, latest))
    if (source === undefined) {
      if (entry.kind === 'row') this.#lacksPlaces = true
      return
    }
    this.#noteServer(entry)
    if (snapshot === 'last') this.#snapshotEndedAt = Math.max(this.#snapshotEndedAt, committedAt)
    const before = this.#highest.get(at.partition)
    // The places may begin anew with a snapshot.
    const place = snapshot === null ? placeBehind(source, before?.place ?? NO_PLACE) : source.place
    if (snapshot !== null && committedAt >= (this.#snapshot?.committedAt ?? -Infinity))
      this.#snapshot = { place: place ?? NO_PLACE, committedAt }
    if (place === null) return
    // The order begins anew where the log went back. What a connector repeats is older.
    const isAnew = before === undefined || snapshot !== null || place >= before.place || committedAt > latest
    if (isAnew) this.#highest.set(at.partition, { place, offset: at.offset, committedAt })
  }

  /** A connector may be replaced by another one. If both write at the same time, their places say nothing. */
  #noteServer({ source }: Entry): void {
    if (source === undefined) return
    if (source.server !== this.#last) {
      if (this.#servers.has(source.server)) this.#isMixed = true
      this.#servers.add(source.server)
      this.#last = source.server
      this.#node = null
      this.#highest.clear()
    }
    this.#node = source.node ?? this.#node
  }

  history(topic: string): TopicHistory {
    const isBySource = !this.#isMixed && !this.#lacksPlaces && this.#highest.size > 0
    return isBySource
      ? { topic, by: 'source', server: this.#last, node: this.#node }
      : { topic, by: 'time', server: null, node: null }
  }

  /** Returns the highest order of a partition that was read up to `end`; null if nothing tells it. */
  highest(partition: number, end: number, { by }: TopicHistory): string | null {
    const latest = padded(this.#latest.get(partition) ?? 0)
    if (by === 'time') return end === 0 ? null : orderByTime(latest, { partition, offset: end - 1 })
    const highest = this.#highest.get(partition)
    if (highest === undefined) return null
    const snapshot = this.#snapshot
    const isOlder = snapshot !== null && highest.committedAt < snapshot.committedAt
    if (isOlder && highest.place > snapshot.place) return null
    return highest.place + padded(highest.offset) + latest
  }

  /** True if the newest snapshot has not come to its end. */
  get isInSnapshot(): boolean {
    return this.#snapshot !== null && this.#snapshot.committedAt > this.#snapshotEndedAt
  }
}
