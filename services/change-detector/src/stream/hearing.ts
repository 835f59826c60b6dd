/**
 * Hears what delivery has finished: it follows `retry` for the ends of slices, which stand behind all effects
 * of the requests before them.
 */
import type { RetryEntry } from '@sluice/contracts/records'
import type { Keyed } from '@sluice/delivered-state/port'
import type { StreamState } from '@sluice/delivered-state/stream-port'
import type { MessageLog } from '@sluice/message-log/port'
import { readOwned } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, type SyncTopics } from '@sluice/topics/topics'
import { capturedValues, placedChanges, retryEntries } from '../detect/feed-state.ts'

type Entry = Keyed<RetryEntry> & { readonly timestamp: number }

/** What was read of one partition, and the state has not taken in. */
interface Heard {
  /** Entries before the newest marker. */
  entries: Entry[]
  slice: number
  nextOffset: number
  /** Entries behind the newest marker. */
  later: Entry[]
}

export interface HearingOptions {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly topics: SyncTopics
  readonly incarnation: string
  readonly run: number
  readonly signal: AbortSignal
  readonly onHeard: () => void
  readonly onFailure: (error: unknown) => void
}

export class Hearing {
  readonly #options: HearingOptions
  readonly #heard: Heard[]
  readonly #following: Promise<void>
  /** The commit time of the newest delivered entry, in ms since 1970; null if it is not known. */
  committedAt: number | null = null

  /** `from`: by partition, the offset in `retry` at which the state reads on. */
  constructor(from: readonly number[], options: HearingOptions) {
    this.#options = options
    this.#heard = from.map(nextOffset => ({ entries: [], slice: 0, nextOffset, later: [] }))
    const following = from.map((offset, partition) => this.#follow(partition, offset))
    this.#following = Promise.all(following).then(() => undefined, options.onFailure)
  }

  /** Resolves once nothing is read any more. Its signal must have aborted. */
  async stopped(): Promise<void> {
    await this.#following
  }

  /** The newest slice of a partition that delivery has passed on; 0 if there was none. */
  sliceOf(partition: number): number {
    return this.#heard[partition]?.slice ?? 0
  }

  async #follow(partition: number, from: number): Promise<void> {
    const { log, io, topics, incarnation, run, signal, onHeard } = this.#options
    const target = at(topics.retry, partition)
    const heard = this.#heard[partition]
    if (heard === undefined) return
    const reading = { log, io, target, incarnation, stage: 'attempts', from, signal } as const
    for await (const { records } of readOwned(reading)) {
      let isNews = false
      for (const placed of records) {
        const { record, offset } = placed
        if (record?.name !== 'sluice.Slice') heard.later.push(...retryEntries([placed]))
        else if (record.value.run === run && record.value.slice > heard.slice) {
          for (const entry of heard.later.splice(0)) heard.entries.push(entry)
          heard.slice = record.value.slice
          heard.nextOffset = offset + 1
          const { committedAt } = record.value
          if (committedAt !== null) this.committedAt = Math.max(this.committedAt ?? 0, committedAt)
          isNews = true
        }
      }
      if (isNews) onHeard()
    }
  }

  /**
   * Has the state take in the changes of a partition before `end`, an offset behind the marker of the slice
   * that was heard of. `captured` is read to its end: later values are of keys that are still in flight.
   */
  async take(state: StreamState, partition: number, end: number): Promise<void> {
    const { log, io, topics, incarnation, signal } = this.#options
    const heard = this.#heard[partition]
    if (heard === undefined) return
    const records = heard.entries.splice(0)
    const { nextOffset } = heard
    const positions = state.positions()
    const read = async (name: 'changes' | 'captured', to: number) => {
      const target = at(topics[name], partition)
      const from = positions[name][partition] ?? 0
      const stage = name === 'changes' ? 'changes' : 'attempts'
      const placed = []
      if (from < to)
        for await (const batch of readOwned({ log, io, target, incarnation, stage, from, to, signal }))
          placed.push(...batch.records)
      return { placed, nextOffset: Math.max(from, to) }
    }
    const { end: capturedEnd } = await log.offsets(at(topics.captured, partition), { signal })
    const captured = await read('captured', capturedEnd)
    const changes = await read('changes', end)
    state.take({
      partition,
      retry: { records, nextOffset },
      captured: { records: capturedValues(captured.placed), nextOffset: captured.nextOffset },
      changes: { records: placedChanges(changes.placed), nextOffset: changes.nextOffset },
    })
  }
}
