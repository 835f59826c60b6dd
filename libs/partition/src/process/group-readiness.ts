/**
 * Checks for `/readyz` that a process is a member of every group that it wants to join. An idle process is
 * ready. So is one that is joining a group of a run, unless that takes too long.
 */
import type { Readiness } from '../own-partitions.ts'

/** A new group waits some seconds for its members, and longer where one of them has just died. */
const JOIN_WITHIN_MS = 20_000

export class GroupReadiness implements Readiness {
  readonly #always: string | null
  readonly #now: () => number
  /** By group that the process is joining, when it began to join. */
  readonly #joining = new Map<string, number>()

  /** `always` is a group that the process must be a member of to be ready, even when it is idle. */
  constructor(always: string | null = null, now: () => number = () => performance.now()) {
    this.#always = always
    this.#now = now
    if (always !== null) this.joining(always)
  }

  joining(group: string): void {
    if (!this.#joining.has(group)) this.#joining.set(group, this.#now())
  }

  joined(group: string): void {
    this.#joining.delete(group)
  }

  left(group: string): void {
    this.#joining.delete(group)
  }

  check(): { readonly ok: boolean; readonly detail?: string } {
    const late = this.#now() - JOIN_WITHIN_MS
    for (const [group, since] of this.#joining)
      if (group === this.#always || since <= late) return { ok: false, detail: `joining the group ${group}` }
    return { ok: true }
  }
}
