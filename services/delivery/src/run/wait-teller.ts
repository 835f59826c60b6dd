/**
 * Says when people should be told that a partition begins or ceases to wait. Some waits come and go many
 * times a second for days, and each report stays on `runs` for a while. So a change is told at once as long
 * as changes are rare, and then only now and then.
 */
import type { Wait, WaitNow } from '@sluice/contracts/run-records'

/** So many changes are told at once, and one more after each pause. */
const CHANGES_AT_ONCE = 10
/** An end that moves by less is the same to people. */
const SAME_END_MS = 2_000

export class WaitTeller {
  #seen: Wait | null = null
  #told: Wait | null = null
  #left = CHANGES_AT_ONCE
  #refilledMs = 0

  /** `before` is what an earlier owner told last of the run: it may be over. */
  constructor(before: readonly Wait[]) {
    this.#told = before[0] ?? null
  }

  /** What people were told last. */
  get told(): readonly Wait[] {
    return this.#told === null ? [] : [this.#told]
  }

  /** True if people should be told now. `refillMs`: how often, if changes never cease. */
  see(wait: WaitNow | null, { nowMs, refillMs }: { nowMs: number; refillMs: number }): boolean {
    this.#seen = wait === null ? null : this.#since(wait)
    if (nowMs - this.#refilledMs >= refillMs) {
      this.#left = Math.min(CHANGES_AT_ONCE, this.#left + 1)
      this.#refilledMs = nowMs
    }
    if (isAlike(this.#seen, this.#told) || this.#left === 0) return false
    this.#left -= 1
    this.#told = this.#seen
    return true
  }

  /** Times are whole ms on the topic. */
  #since(wait: WaitNow): Wait {
    const since = wait.kind === this.#seen?.kind ? this.#seen.since : Date.now()
    return { ...wait, since, until: wait.until === null ? null : Math.ceil(wait.until) }
  }
}

function isAlike(one: Wait | null, other: Wait | null): boolean {
  if (one === null || other === null) return one === other
  if (one.kind !== other.kind || one.detail !== other.detail) return false
  if (one.until === null || other.until === null) return one.until === other.until
  return Math.abs(one.until - other.until) < SAME_END_MS || Date.now() < other.until
}
