/** Keeps what was read of a source for some seconds, for somebody who edits a template that uses it. */
import { RecentMap } from '@sluice/flow/recent-map'

const KEPT_MS = 15_000
const KEPT_BYTES = 32_000_000

interface Kept<T> {
  readonly value: Promise<T>
  readonly untilMs: number
  readonly bytes: number
}

export class SampleCache<T> {
  readonly #kept: RecentMap<string, Kept<T>>
  readonly #bytesOf: (value: T) => number
  readonly #nowMs: () => number

  constructor(bytesOf: (value: T) => number, nowMs: () => number = () => performance.now()) {
    this.#bytesOf = bytesOf
    this.#nowMs = nowMs
    this.#kept = new RecentMap({ limit: KEPT_BYTES, weightOf: ({ bytes }) => bytes })
  }

  /** What is kept under this key, or what `read` gives. A failure is not kept, nor is what is too large. */
  async get(key: string, read: () => Promise<T>): Promise<T> {
    const kept = this.#kept.get(key)
    if (kept !== undefined && kept.untilMs > this.#nowMs()) return await kept.value
    const value = await read()
    const bytes = key.length + this.#bytesOf(value)
    this.#kept.set(key, { value: Promise.resolve(value), untilMs: this.#nowMs() + KEPT_MS, bytes })
    return value
  }
}
