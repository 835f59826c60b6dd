/**
 * The requests of one partition, and parts of them, that wait to be sent again. Only their histories are in
 * memory. When one is due, its request is read again from the topic (PROTOCOL.md §8).
 *
 * States of a part: waiting → being read → handed out. If it fails again, its rows come back as a new part.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Request, WaitNow } from '@sluice/contracts/records'
import { Notifier } from '@sluice/flow/notifier'
import { nextTurn, sleep } from '@sluice/flow/sleep'
import type { Placed } from '@sluice/topics/owned-reader'
import type { PartHistory } from '../ledger/request-history.ts'
import { MIN_SHOWN_WAIT_MS } from './destination-gate.ts'
import type { OpenRequest } from './open-request.ts'

/** One read takes requests up to this far ahead. They lie close together if the API fails. */
const READ_AHEAD_OFFSETS = 256
/** Requests that fall due within this time are read together. None is sent early. */
const MIN_PAUSE_MS = 10

export interface WaitingPart {
  readonly open: OpenRequest
  readonly part: PartHistory
  /** The time when it is due, by `performance.now()`. */
  readonly dueAtMs: number
}

export interface DuePart extends WaitingPart {
  readonly request: Request
  /** The size of the record in its topic. */
  readonly bytes: number
}

export interface WaitingOptions {
  /** Reads records of `requests` from one offset (inclusive) to another (exclusive). */
  readonly read: (range: { readonly from: number; readonly to: number }) => AsyncIterable<readonly Placed[]>
  /** Takes a part that is due. The next one is handed out once it resolves. */
  readonly onDue: (due: DuePart) => Promise<void>
  /** Aborts when no request may wait any longer. All are handed out at once. */
  readonly atOnce: AbortSignal
}

export class WaitingRequests {
  readonly #options: WaitingOptions
  readonly #waiting = new Set<WaitingPart>()
  readonly #changes = new Notifier()
  #nextAtMs = Infinity

  constructor(options: WaitingOptions) {
    this.#options = options
    options.atOnce.addEventListener('abort', () => this.#changes.notify(), { once: true })
  }

  /** The wait until the first part is due; null if that is soon, or none waits. */
  get waitsFor(): WaitNow | null {
    const leftMs = this.#nextAtMs - performance.now()
    if (this.#waiting.size === 0 || leftMs < MIN_SHOWN_WAIT_MS || leftMs === Infinity) return null
    const detail = 'requests that failed wait for their next attempt'
    return { kind: 'tries', until: Date.now() + leftMs, detail }
  }

  add(waiting: WaitingPart): void {
    this.#waiting.add(waiting)
    if (waiting.dueAtMs >= this.#nextAtMs && !this.#options.atOnce.aborted) return
    this.#nextAtMs = Math.min(this.#nextAtMs, waiting.dueAtMs)
    this.#changes.notify()
  }

  /** Hands out requests as they fall due, until aborted. Rejects as `read` does. */
  async handOut(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const seen = this.#changes.version
      const due = this.#takeDue()
      try {
        if (due.size > 0) await this.#read(due, signal)
        else await this.#untilDue(seen, signal)
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }

  /**
   * Takes out the parts that are due, by offset, in the order of the topic. Notes when the next one is due.
   */
  #takeDue(): Map<number, WaitingPart[]> {
    const nowMs = performance.now()
    const due: WaitingPart[] = []
    this.#nextAtMs = Infinity
    for (const waiting of this.#waiting) {
      if (waiting.dueAtMs <= nowMs || this.#options.atOnce.aborted) due.push(waiting)
      else this.#nextAtMs = Math.min(this.#nextAtMs, waiting.dueAtMs)
    }
    for (const waiting of due) this.#waiting.delete(waiting)
    due.sort((a, b) => a.open.offset - b.open.offset)
    return Map.groupBy(due, ({ open }) => open.offset)
  }

  async #untilDue(seen: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    const ends = AbortSignal.any([signal, woken.signal])
    const changed = this.#changes.after(seen, { signal: ends })
    const leftMs = Math.max(MIN_PAUSE_MS, this.#nextAtMs - performance.now())
    const slept =
      this.#nextAtMs === Infinity ? new Promise<never>(() => undefined) : sleep(leftMs, { signal: ends })
    await Promise.race([changed, slept]).finally(() => {
      changed.catch(() => undefined)
      slept.catch(() => undefined)
      woken.abort()
    })
  }

  async #read(due: Map<number, WaitingPart[]>, signal: AbortSignal): Promise<void> {
    while (due.size > 0) {
      const [from = 0] = due.keys()
      const to = 1 + ([...due.keys()].findLast(offset => offset < from + READ_AHEAD_OFFSETS) ?? from)
      for await (const records of this.#options.read({ from, to })) {
        for (const { offset, record, bytes } of records) {
          const parts = due.get(offset)
          if (parts === undefined || record?.name !== 'sluice.Request') continue
          due.delete(offset)
          for (const waiting of parts) {
            await this.#options.onDue({ ...waiting, request: record.value, bytes })
            signal.throwIfAborted()
          }
        }
      }
      for (const offset of due.keys()) {
        if (offset >= to) break
        throw new SluiceError('corrupt', `the request at offset ${offset}, which was read before, is gone`)
      }
      await nextTurn()
    }
  }
}
