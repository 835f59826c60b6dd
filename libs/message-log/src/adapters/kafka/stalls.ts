/**
 * Reports once that Kafka does not answer, and once that it answers again. Each caller that waits for an
 * answer registers here. A call that has waited for `STALL_MS` begins a stall. The stall is over once no call
 * has waited that long. States: quiet ⇄ stalled.
 */

import type { LogStall } from '../../port.ts'

/** A request that takes longer is reported. Brokers restart and leaders change in less time. */
export const STALL_MS = 5_000
const LOOK_EVERY_MS = 500

/** A call that waits for Kafka. It ends once, with an answer or because the caller gives up. */
export interface Waiting {
  end(): void
}

interface Entry {
  readonly what: string
  readonly startedAt: number
}

export interface StallWatchOptions {
  readonly onStall: (stall: LogStall) => void
  readonly now?: () => number
}

export class StallWatch implements Disposable {
  readonly #options: Required<StallWatchOptions>
  readonly #waiting = new Set<Entry>()
  #stalledSince: number | null = null
  #timer: NodeJS.Timeout | null = null

  constructor({ onStall, now = () => performance.now() }: StallWatchOptions) {
    this.#options = { onStall, now }
  }

  /** Registers a call. `what` says what the call does, in the words of an error. */
  begin(what: string): Waiting {
    const entry = { what, startedAt: this.#options.now() }
    this.#waiting.add(entry)
    this.#timer ??= setInterval(() => this.look(), LOOK_EVERY_MS).unref()
    return {
      end: () => {
        if (this.#waiting.delete(entry) && this.#stalledSince !== null) this.look()
      },
    }
  }

  /** Checks whether a call has waited for too long by now. */
  look(): void {
    const now = this.#options.now()
    let oldest: Entry | null = null
    // The set keeps the order in which the calls began.
    for (const entry of this.#waiting) {
      oldest = entry
      break
    }
    const isStalled = oldest !== null && now - oldest.startedAt >= STALL_MS
    if (oldest !== null && isStalled && this.#stalledSince === null) {
      this.#stalledSince = oldest.startedAt
      this.#options.onStall({ kind: 'stalled', what: oldest.what, sinceMs: now - oldest.startedAt })
    } else if (!isStalled && this.#stalledSince !== null) {
      this.#options.onStall({ kind: 'over', lastedMs: now - this.#stalledSince })
      this.#stalledSince = null
    }
    if (this.#waiting.size === 0 && this.#timer !== null) this[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }
}
