/**
 * Whether a process has its place in every group that it wants one in, for `/readyz`: idle counts as ready.
 */
import type { Readiness } from './own-partitions.ts'

export class GroupReadiness implements Readiness {
  readonly #joining = new Set<string>()

  /** `always` is the group that the process has to be in to be ready, if it is never idle. */
  constructor(always?: string) {
    if (always !== undefined) this.#joining.add(always)
  }

  joining(group: string): void {
    this.#joining.add(group)
  }

  joined(group: string): void {
    this.#joining.delete(group)
  }

  left(group: string): void {
    this.#joining.delete(group)
  }

  check(): { readonly ok: boolean; readonly detail?: string } {
    const [group] = this.#joining
    return group === undefined ? { ok: true } : { ok: false, detail: `joining the group ${group}` }
  }
}
