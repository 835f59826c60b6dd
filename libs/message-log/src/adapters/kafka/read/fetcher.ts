import { abortable } from '@sluice/flow/abortable'
import { Notifier } from '@sluice/flow/notifier'
import { doublingPause } from '@sluice/flow/retry'
import { sleep } from '@sluice/flow/sleep'
import { type KafkaCluster, name, PAUSES } from '../cluster.ts'
import { ConnectionLost, isTransient, ProtocolError, toSluiceError } from '../errors.ts'
import type { Feed } from './feed.ts'
import { fetchRequest, type FetchedPartition, type FetchPartition } from '../own-requests.ts'

/** A broker without new records may hold back its answer for this long. Each lane has its own time. */
const LONG_WAIT_MS = 250
const SHORT_WAIT_MS = 20
const ANSWER_BYTES = 16 * 1024 * 1024

/**
 * Fetches for all readers of a log. The feeds of the partitions that one broker leads share two connections
 * to it. If the broker is lost or no longer leads the partition, the fetcher looks for the new leader. It
 * gives up after twice the cluster's retry time, so that a reader outlasts the calls around it.
 */
export class Fetcher {
  readonly #cluster: KafkaCluster
  readonly #committedOnly: boolean
  readonly #brokers = new Map<number, BrokerFetcher>()

  constructor(cluster: KafkaCluster, { committedOnly }: { readonly committedOnly: boolean }) {
    this.#cluster = cluster
    this.#committedOnly = committedOnly
  }

  add(feed: Feed): void {
    void this.#place(feed)
  }

  /** Wakes the loops, because a feed has room again. */
  wake(): void {
    for (const broker of this.#brokers.values()) broker.changes.notify()
  }

  async #place(feed: Feed): Promise<void> {
    const signal = this.#cluster.closed
    try {
      if (feed.failures > 0) await sleep(doublingPause(feed.failures, PAUSES), { signal })
      if (!feed.open) {
        endWaiting(feed)
        return
      }
      const node = await abortable(this.#cluster.leaderOf(feed.target), { signal })
      this.#brokerOf(node).add(feed)
    } catch (error) {
      this.#misplaced(feed, error)
    }
  }

  #brokerOf(node: number): BrokerFetcher {
    const known = this.#brokers.get(node)
    if (known !== undefined) return known
    const made = new BrokerFetcher(this.#cluster, {
      node,
      committedOnly: this.#committedOnly,
      misplaced: (feed, error) => this.#misplaced(feed, error),
    })
    this.#brokers.set(node, made)
    return made
  }

  #misplaced(feed: Feed, error: unknown): void {
    const now = performance.now()
    feed.failingSince ??= now
    feed.failures += 1
    const subject = `reading ${name(feed.target)} at ${feed.fetchOffset}`
    if (!isTransient(error) || now - feed.failingSince > this.#cluster.settings.retryMs * 2) {
      endWaiting(feed)
      feed.fail(toSluiceError(error, subject))
      return
    }
    this.#cluster.forget(feed.target.topic)
    void this.#place(feed)
  }
}

interface LaneState {
  readonly lane: 'fetch-long' | 'fetch-short'
  readonly waitMs: number
  running: boolean
  underWay: boolean
}

/**
 * The feeds of one broker. A broker answers one request per connection at a time, and holds the answer back
 * while it has no records. So all hungry feeds go together into one request on the long lane. A feed that
 * becomes hungry meanwhile goes on the short lane, whose answers come back almost at once. If the answer is
 * empty, the feed joins the long lane. If no broker has new records, each broker gets four requests a second.
 */
class BrokerFetcher {
  readonly changes = new Notifier()
  readonly #cluster: KafkaCluster
  readonly #node: number
  readonly #committedOnly: boolean
  readonly #misplaced: (feed: Feed, error: unknown) => void
  #feeds: Feed[] = []
  readonly #long: LaneState = { lane: 'fetch-long', waitMs: LONG_WAIT_MS, running: false, underWay: false }
  readonly #short: LaneState = { lane: 'fetch-short', waitMs: SHORT_WAIT_MS, running: false, underWay: false }

  constructor(
    cluster: KafkaCluster,
    options: {
      readonly node: number
      readonly committedOnly: boolean
      readonly misplaced: (feed: Feed, error: unknown) => void
    },
  ) {
    this.#cluster = cluster
    this.#node = options.node
    this.#committedOnly = options.committedOnly
    this.#misplaced = options.misplaced
  }

  add(feed: Feed): void {
    this.#feeds.push(feed)
    for (const lane of [this.#long, this.#short]) if (!lane.running) void this.#run(lane)
    this.changes.notify()
  }

  async #run(lane: LaneState): Promise<void> {
    const signal = this.#cluster.closed
    lane.running = true
    let empty = false
    try {
      while (this.#feeds.length > 0 && !signal.aborted) {
        const seen = this.changes.version
        this.#feeds = this.#feeds.filter(feed => feed.open)
        const mergeFirst: boolean = lane === this.#long && empty && this.#short.underWay
        const mayAsk: boolean = lane === this.#long ? !mergeFirst : this.#long.underWay
        const feeds: Feed[] = mayAsk ? this.#hungry() : []
        if (feeds.length === 0) {
          if (mergeFirst) empty = false
          if (this.#feeds.length > 0) await this.changes.after(seen, { signal })
          continue
        }
        lane.underWay = true
        this.changes.notify()
        empty = !(await this.#fetch(lane, feeds))
        lane.underWay = false
        this.changes.notify()
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      lane.running = false
      lane.underWay = false
    }
    if (signal.aborted)
      for (const feed of this.#feeds.splice(0)) {
        endWaiting(feed)
        feed.fail(signal.reason)
      }
  }

  /**
   * Returns the feeds that want more and are not in a request yet. They take turns at the first place, since
   * only the first partition with records may return more than its limit. A request can name a partition only
   * once. So two readers of a partition share a request only if they are at the same offset.
   */
  #hungry(): Feed[] {
    const first = this.#feeds.shift()
    if (first !== undefined) this.#feeds.push(first)
    const offsets = new Map<string, number>()
    return this.#feeds.filter(feed => {
      if (!feed.hungry || feed.inFlight) return false
      const offset = offsets.get(feed.place) ?? feed.fetchOffset
      offsets.set(feed.place, offset)
      return offset === feed.fetchOffset
    })
  }

  /** Sends one request for all of the feeds. Resolves true if it brought records. */
  async #fetch(lane: LaneState, feeds: readonly Feed[]): Promise<boolean> {
    for (const feed of feeds) {
      feed.inFlight = true
      feed.waiting ??= this.#cluster.waiting(`reading ${feed.place}`)
    }
    try {
      const request = fetchRequest({
        partitions: partitionsOf(feeds),
        maxWaitMs: lane.waitMs,
        maxBytes: ANSWER_BYTES,
        committedOnly: this.#committedOnly,
      })
      const connection = await this.#cluster.connection(this.#node, lane.lane)
      const answer = await connection.send(request, lane.waitMs + this.#cluster.settings.requestTimeoutMs)
      return this.#deliver(feeds, answer)
    } catch (error) {
      for (const feed of feeds) this.#remove(feed, error)
      return false
    } finally {
      for (const feed of feeds) feed.inFlight = false
    }
  }

  #deliver(feeds: readonly Feed[], answer: readonly FetchedPartition[]): boolean {
    const byPlace = new Map(answer.map(part => [name(part), part]))
    let brought = false
    for (const feed of feeds) {
      const part = byPlace.get(feed.place)
      if (part === undefined) {
        this.#remove(feed, new ConnectionLost('the broker left the partition out of its answer'))
        continue
      }
      if (part.errorCode !== 0) {
        this.#remove(feed, ProtocolError.ofCode(part.errorCode))
        continue
      }
      // If the broker has records that did not fit into the answer, the next request need not wait.
      try {
        feed.noteEnd(part.highWatermark)
        const put = feed.put(part.batches, part.aborted)
        brought ||= put || part.highWatermark > feed.fetchOffset
        feed.failingSince = null
        feed.failures = 0
        endWaiting(feed)
      } catch (error) {
        this.#remove(feed, error)
      }
    }
    return brought
  }

  #remove(feed: Feed, error: unknown): void {
    this.#feeds = this.#feeds.filter(other => other !== feed)
    this.#misplaced(feed, error)
  }
}

function endWaiting(feed: Feed): void {
  feed.waiting?.end()
  feed.waiting = null
}

function partitionsOf(feeds: readonly Feed[]): FetchPartition[] {
  const partitions = new Map<string, FetchPartition>()
  for (const { place, target, fetchOffset, roomBytes } of feeds) {
    const maxBytes = Math.min(roomBytes, partitions.get(place)?.maxBytes ?? roomBytes)
    partitions.set(place, { ...target, fetchOffset, maxBytes })
  }
  return [...partitions.values()]
}
