/**
 * Tells once that Kafka does not answer, and once that it does again. What waits for an answer says so; it
 * counts as stalled after a while, and the stall is over when nothing that has waited so long is left.
 * States: quiet ⇄ stalled.
 */

/** So long a request may take without anybody hearing of it: brokers restart, leaders change. */
export const STALL_MS = 5_000
const LOOK_EVERY_MS = 500

export type KafkaStall =
  | { readonly kind: 'stalled'; readonly what: string; readonly sinceMs: number }
  | { readonly kind: 'over'; readonly lastedMs: number }

/** Something that waits for Kafka. It ends once, with an answer or because nobody wants one any more. */
export interface Waiting {
  end(): void
}

interface Entry {
  readonly what: string
  readonly startedAt: number
}

export interface StallWatchOptions {
  readonly onStall: (stall: KafkaStall) => void
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

  /** `what` says what is waited for, as an error would. */
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

  /** Looks whether something has waited for too long by now. */
  look(): void {
    const now = this.#options.now()
    let oldest: Entry | null = null
    // In the order in which they began.
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
