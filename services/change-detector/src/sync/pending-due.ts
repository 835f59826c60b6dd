/** The instant of a sync's schedule that its owner has not answered yet, and when the next one comes. */
import type { Fired } from '@sluice/contracts/records'

/** An owner keeps a sync between runs that are at most this far apart: another takeover would cost more. */
const KEEPS_UP_TO_MS = 60_000
/** The owner gives up the sync if the next instant is later than this. */
const GRACE_MS = 5_000

export class PendingDue {
  #fired: Fired | null = null
  #keepsUntil = 0

  /** The instant that has no answer yet; null if there is none. */
  get fired(): Fired | null {
    return this.#fired
  }

  set(fired: Fired): void {
    this.#fired = fired
    const { at, next } = fired
    this.#keepsUntil = next !== null && next - at <= KEEPS_UP_TO_MS ? next + GRACE_MS : 0
  }

  /** Drops an instant that is answered, unless a later one has taken its place. */
  done(fired: Fired | null): void {
    if (this.#fired === fired) this.#fired = null
  }

  /** The time, in ms, for which the owner still keeps the sync though there is nothing to do. */
  keepsForMs(now: number): number {
    return Math.max(0, Math.min(this.#keepsUntil - now, KEEPS_UP_TO_MS + GRACE_MS))
  }
}
