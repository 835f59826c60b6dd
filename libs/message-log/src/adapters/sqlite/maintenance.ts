/**
 * The maintenance of the embedded log. It removes trimmed records, records of deleted topics and records past
 * their retention, and it compacts. It works in steps of a few milliseconds, with a turn of the event loop
 * between them. It may stop after any step, and finds the remaining work in the file. With nothing to do, it
 * costs one timer every ten minutes.
 *
 * To compact a partition, it reads a section into a map from each key to its newest offset there. The section
 * lies between the compacted records and the records that are not old enough. Then it removes, from every
 * batch up to the section's end, the records for which the map has a newer one. A section has at most about
 * MAP_BYTES of keys, and more takes several rounds, so memory is bounded.
 */
import { nextTurn } from '@sluice/flow/sleep'
import { TOMBSTONES_KEPT_MS, type LogRecord } from '../../port.ts'
import { decodeBatch, encodeKept } from './batch.ts'
import type { Partition, SqliteCore } from './core.ts'
import type { StoredBatch } from './store.ts'

/** Compaction starts by itself once this many bytes, and half of the partition, are not compacted. */
const DIRTY_BYTES = 1024 * 1024
const MAP_BYTES = 16 * 1024 * 1024
/** The bytes of a map entry besides its key. */
const MAP_ENTRY_BYTES = 64
const PURGE_BATCHES = 64
/** One step of compaction reads at most this many bytes. */
const STEP_BYTES = 512 * 1024
const STEP_BATCHES = 64
const SWEEP_MS = 600_000
const ALL = Number.MAX_SAFE_INTEGER

interface Section {
  /** The offset at which it ends. */
  readonly end: number
  readonly newest: ReadonlyMap<string, number>
}

/**
 * States: open → stopped. `onError` gets the errors of work in the background, which begins again at the next
 * occasion.
 */
export class SqliteMaintenance {
  readonly #core: SqliteCore
  readonly #onError: (error: unknown) => void
  readonly #timer: NodeJS.Timeout
  readonly #pending = new Set<Partition>()
  /** Settles once all queued work is done. New work runs after it. */
  #tail: Promise<void> = Promise.resolve()
  #tending = false
  #stopped = false

  constructor(core: SqliteCore, onError: (error: unknown) => void) {
    this.#core = core
    this.#onError = onError
    this.#timer = setInterval(() => this.sweep(), SWEEP_MS).unref()
    this.sweep()
  }

  /** Checks partitions that have just changed. Costs next to nothing if there is nothing to do. */
  consider(partitions: Iterable<Partition>): void {
    for (const partition of partitions) if (this.#needsCare(partition)) this.#pending.add(partition)
    if (this.#pending.size === 0 || this.#tending || this.#stopped) return
    this.#tending = true
    this.#inBackground(() => this.#tend())
  }

  /**
   * Checks all partitions. Retention, and compaction after a lag, become due by time alone, so only this
   * finds them.
   */
  sweep(): void {
    this.#inBackground(() => this.#sweep())
  }

  /** Compacts a partition up to now, however little there is to gain. Resolves once that is done. */
  compact(partition: Partition): Promise<void> {
    return this.#inTurn(() => this.#compact(partition))
  }

  /** Ends all maintenance. Nothing touches the file afterwards. */
  stop(): void {
    this.#stopped = true
    clearInterval(this.#timer)
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(work)
    this.#tail = done.catch(() => {})
    return done
  }

  #inBackground(work: () => Promise<void>): void {
    this.#inTurn(work).catch(this.#onError)
  }

  #needsCare(partition: Partition): boolean {
    if (partition.purged < partition.low) return true
    const { cleanup, compactionLagMs = 0 } = partition.topic
    // With a lag, the age of the records decides, not their bytes. So only the sweep compacts.
    return cleanup === 'compact' && compactionLagMs === 0 && isMuch(partition.dirtyBytes, partition)
  }

  async #tend(): Promise<void> {
    try {
      for (const partition of this.#pending) {
        this.#pending.delete(partition)
        await this.#purge(partition)
        if (this.#needsCare(partition)) await this.#compact(partition)
      }
    } finally {
      this.#tending = false
    }
  }

  async #sweep(): Promise<void> {
    if (!(await this.#step())) return
    for (const garbage of this.#core.store.garbage()) {
      if (!(await this.#removeBelow(garbage, ALL))) return
      this.#core.store.forgetGarbage(garbage)
    }
    const partitions = [...this.#core.topics()].flatMap(topic => topic.partitions)
    for (const partition of partitions) {
      const { cleanup, compactionLagMs = 0 } = partition.topic
      if (partition.deleted) continue
      if (cleanup === 'delete') await this.#expire(partition)
      await this.#purge(partition)
      if (cleanup === 'compact' && isMuch(partition.dirtyBytes, partition)) {
        const range = { base: partition.cleaned, at: Date.now() - compactionLagMs }
        const cleanable = this.#stopped ? 0 : this.#core.store.bytesUntil(partition.id, range)
        if (isMuch(cleanable, partition)) await this.#compact(partition)
      }
      if (this.#stopped) return
    }
  }

  /** Raises the low offset over batches past their retention. */
  async #expire(partition: Partition): Promise<void> {
    const { retentionMs } = partition.topic
    if (retentionMs === undefined) return
    for (;;) {
      if (!(await this.#step()) || partition.deleted) return
      const range = { from: partition.low, to: partition.end, limit: STEP_BATCHES }
      const heads = this.#core.store.heads(partition.id, range)
      const kept = heads.findIndex(head => head.at >= Date.now() - retentionMs)
      const expired = kept === -1 ? heads : heads.slice(0, kept)
      const last = expired.at(-1)?.last
      if (last === undefined) return
      this.#core.setLow(partition, Math.max(partition.low, last + 1))
    }
  }

  async #purge(partition: Partition): Promise<void> {
    const { low } = partition
    if (partition.purged >= low) return
    if (!(await this.#removeBelow(partition.id, low)) || partition.deleted) return
    partition.purged = low
    this.#core.measure(partition)
  }

  /** Removes batches that end below the offset, a few at a time. Resolves false if it was stopped. */
  async #removeBelow(partition: number, before: number): Promise<boolean> {
    for (;;) {
      if (!(await this.#step())) return false
      const { store } = this.#core
      if (store.transaction(() => store.purge(partition, before, PURGE_BATCHES)) < PURGE_BATCHES) return true
    }
  }

  async #compact(partition: Partition): Promise<void> {
    const oldEnough = Date.now() - (partition.topic.compactionLagMs ?? 0)
    for (;;) {
      const section = await this.#mapSection(partition, oldEnough)
      if (section === null || section.end === partition.cleaned) return
      if (!(await this.#rewrite(partition, section, oldEnough))) return
      const { store } = this.#core
      store.transaction(() => store.setCleaned(partition.id, section.end))
      partition.cleaned = section.end
      this.#core.measure(partition)
    }
  }

  /**
   * Maps each key to its newest offset. It reads from `cleaned` on, as far as age and memory allow. Resolves
   * null if it was stopped.
   */
  async #mapSection(partition: Partition, oldEnough: number): Promise<Section | null> {
    const newest = new Map<string, number>()
    let bytes = 0
    let end = partition.cleaned
    const whole = await this.#eachStep(partition, { from: end, to: partition.end }, batches => {
      for (const batch of batches) {
        if (batch.at > oldEnough || bytes > MAP_BYTES) return false
        for (const record of recordsOf(batch)) {
          if (record.unreadable !== undefined) continue
          const key = nameOf(record)
          if (!newest.has(key)) bytes += key.length + MAP_ENTRY_BYTES
          newest.set(key, record.offset)
        }
        end = batch.last + 1
      }
      return true
    })
    return whole ? { end, newest } : null
  }

  /**
   * Removes superseded records. It takes batches in rising order, so a tombstone never goes before the
   * records that it deletes. Resolves false if it was stopped.
   */
  #rewrite(partition: Partition, section: Section, oldEnough: number): Promise<boolean> {
    const { store } = this.#core
    const isKept = (record: LogRecord) => {
      if ((section.newest.get(nameOf(record)) ?? -1) > record.offset) return false
      return record.value !== null || record.timestamp > oldEnough - TOMBSTONES_KEPT_MS
    }
    return this.#eachStep(partition, { from: partition.low, to: section.end }, batches => {
      store.transaction(() => {
        for (const batch of batches) {
          const records = recordsOf(batch)
          // A record that cannot be read stays, so that readers notice it.
          if (records.some(({ unreadable }) => unreadable !== undefined)) continue
          const kept = records.filter(isKept)
          if (kept.length === 0) store.deleteBatch(partition.id, batch.base)
          else if (kept.length < records.length) {
            store.rewriteBatch(partition.id, batch.base, encodeKept(kept, batch.base))
          }
        }
      })
      return true
    })
  }

  /**
   * Goes through the batches of a range, a few in each step, until `work` returns false. Resolves false if it
   * was stopped.
   */
  async #eachStep(
    partition: Partition,
    range: { from: number; to: number },
    work: (batches: StoredBatch[]) => boolean,
  ): Promise<boolean> {
    let { from } = range
    while (from < range.to) {
      if (!(await this.#step()) || partition.deleted) return false
      const batches = this.#core.batchesFrom(partition, { from, to: range.to, bytes: STEP_BYTES })
      const last = batches.at(-1)?.last
      if (last === undefined || !work(batches)) return true
      from = Math.max(from, last) + 1
    }
    return true
  }

  /** Gives the event loop a turn. Resolves false if work has to end. */
  async #step(): Promise<boolean> {
    await nextTurn()
    return !this.#stopped
  }
}

function isMuch(bytes: number, partition: Partition): boolean {
  return bytes >= DIRTY_BYTES && bytes * 2 >= partition.bytes
}

function recordsOf(batch: StoredBatch): LogRecord[] {
  return decodeBatch(batch, { from: 0, to: ALL })
}

/** Returns the key's bytes as a string of equal length. Different keys give different strings. */
function nameOf({ key }: LogRecord): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}
