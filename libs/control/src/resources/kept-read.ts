/** Keeps what was read from a partition. Reads it again only once something was written there. */
import { SharedWork } from '@sluice/flow/shared-work'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'

/** The value that a read gave when the partition ended at this offset. */
interface Read<T> {
  readonly end: number
  readonly value: T
}

/** Callers at the same time share one reading. Nobody may change the value that they get. */
export class KeptRead<T> {
  readonly #log: MessageLog
  readonly #target: TopicPartition
  readonly #reading: SharedWork<Read<T>>
  #kept: Read<T> | null = null

  /** `isSmall` returns true for a value that may be kept until the next call. */
  constructor(
    {
      log,
      target,
      isSmall,
    }: {
      readonly log: MessageLog
      readonly target: TopicPartition
      readonly isSmall: (value: T) => boolean
    },
    read: (signal: AbortSignal) => Promise<T>,
  ) {
    this.#log = log
    this.#target = target
    this.#reading = new SharedWork(async ({ signal }) => {
      const { end } = await log.offsets(target, { signal })
      const value = await read(signal)
      this.#kept = isSmall(value) ? { end, value } : null
      return { end, value }
    })
  }

  /**
   * The value with all that was written before the call. Rejects as the reading does, or with the signal's
   * reason.
   */
  async now(signal: AbortSignal): Promise<T> {
    const { end } = await this.#log.offsets(this.#target, { signal })
    if (this.#kept?.end === end) return this.#kept.value
    for (;;) {
      // Another caller may have begun the reading before the last write.
      const read = await this.#reading.done({ signal })
      if (read.end >= end) return read.value
    }
  }
}
