/**
 * Watches the reading of a topic whose first records are gone (retention, or records that somebody deleted).
 * Rows that nobody has changed since then are not in it, and would seem to be removed. Only a whole snapshot
 * of Debezium behind the loss has all rows. Compaction alone does not move the beginning.
 *
 * A snapshot is whole if the records that begin and end it are there, and each partition goes back before its
 * beginning. A partition that begins within it may have lost some of it.
 */
import type { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { PartitionOffsets } from '@sluice/message-log/port'
import type { Entry } from './entry.ts'
import { topicError } from './topic-error.ts'

interface LostOptions {
  readonly model: ModelSpec
  readonly topic: string
  readonly partitions: readonly (PartitionOffsets & { readonly partition: number })[]
}

export class LostBeginning {
  readonly #options: LostOptions
  /** The first entry that is left, by partition. */
  readonly #first = new Map<number, Entry>()
  /** The last beginning of a snapshot. */
  #begin: Entry | null = null
  /** The commit time of the last record that ends a snapshot, in ms since 1970. */
  #endedAt = -Infinity

  constructor(options: LostOptions) {
    this.#options = options
  }

  see(entry: Entry): void {
    const { partition } = entry.at
    if (!this.#first.has(partition)) this.#first.set(partition, entry)
    // Partitions are read one after the other, so the end may come before the beginning.
    const { snapshot, committedAt } = entry
    if (snapshot === 'first' && committedAt >= (this.#begin?.committedAt ?? -Infinity)) this.#begin = entry
    if (snapshot === 'last') this.#endedAt = Math.max(this.#endedAt, committedAt)
  }

  /** Throws `query` once all is read, if the beginning is lost and no whole snapshot is there. */
  assertWhole(): void {
    if (this.#options.partitions.every(({ low }) => low === 0)) return
    const begin = this.#begin
    const isEnded = begin !== null && this.#endedAt >= begin.committedAt
    if (isEnded && this.#options.partitions.every(each => this.#holds(each))) return
    throw this.#failure()
  }

  /** True if the partition lost nothing of the snapshot. */
  #holds({ partition, low, end }: LostOptions['partitions'][number]): boolean {
    if (low === 0) return true
    const first = this.#first.get(partition)
    const begin = this.#begin
    if (first === undefined || begin === null || low >= end) return false
    if (first === begin) return true
    return first.snapshot === null && first.committedAt < begin.committedAt
  }

  #failure(): SluiceError {
    const { model, topic, partitions } = this.#options
    const lost = partitions.filter(({ low }) => low > 0)
    const dates = lost.map(({ partition, low }) => {
      const first = this.#first.get(partition)
      const until = first === undefined ? '' : `, written before ${new Date(first.committedAt).toISOString()}`
      return `partition ${partition} lost its first ${low} offsets${until}`
    })
    const message =
      `The topic ${topic} of model ${model.name} does not reach back to its beginning: ${dates.join('; ')}. ` +
      'Rows that have not changed since would seem to be removed, so nothing was taken. ' +
      'Let Debezium make a new snapshot, or write all rows to a new topic whose records stay (`cleanup.policy=compact`, or `retention.ms=-1`).'
    return topicError(message)
  }
}
