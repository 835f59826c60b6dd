/**
 * The runs that people asked for in vain, since a secret is missing or the project has a mistake. Such a run
 * has no record, so only this process knows of it.
 */
import type { RefusedRun } from '@sluice/contracts/api'
import { isSluiceError } from '@sluice/contracts/errors'
import { RecentMap } from '@sluice/flow/recent-map'

const MAX_SYNCS = 1_000

export class RefusedRuns {
  readonly #bySync = new RecentMap<string, RefusedRun | null>({ limit: MAX_SYNCS })

  /** Runs `ask`. If that is refused, remembers the refusal until `ask` succeeds. */
  async asked<Result>(sync: string, by: string | null, ask: () => Promise<Result>): Promise<Result> {
    try {
      const result = await ask()
      this.#forget(sync)
      return result
    } catch (error) {
      if (isSluiceError(error, 'config'))
        this.#bySync.set(sync, { at: new Date().toISOString(), by, error: error.message })
      throw error
    }
  }

  /**
   * The last refusal of a sync. It is forgotten once `isMended` resolves. While the reason holds, `isMended`
   * rejects.
   */
  async of(sync: string, isMended: () => Promise<unknown>): Promise<RefusedRun | null> {
    const refused = this.#bySync.get(sync) ?? null
    if (refused === null) return null
    try {
      await isMended()
      this.#forget(sync)
      return null
    } catch (error) {
      if (isSluiceError(error)) return refused
      throw error
    }
  }

  #forget(sync: string): void {
    if (this.#bySync.get(sync) !== undefined) this.#bySync.set(sync, null)
  }
}
