/**
 * Says for `/readyz` whether a process has its place in every group that it wants to be in. An idle process
 * is ready. So is one that is joining a group of a run, unless that takes too long.
 */
import type { Readiness } from '../own-partitions.ts'

/** A new group waits some seconds for its members, and for longer where one of them has just died. */
const JOIN_WITHIN_MS = 20_000

export class GroupReadiness implements Readiness {
  readonly #always: string | null
  readonly #now: () => number
  /** When the process began to join each of them. */
  readonly #joining = new Map<string, number>()

  /** `always` is a group that the process must be in to be ready, even when it is idle. */
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
