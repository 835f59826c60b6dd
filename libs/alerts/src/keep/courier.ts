/**
 * Tells the notices of one alert, one at a time, the oldest first. After a failure it pauses, longer each
 * time, and begins with the same notice again. Notices of other alerts do not wait for it.
 *
 * States: idle → telling → idle, or pausing → telling.
 */
import type { AlertNotice } from '@sluice/contracts/specs/alert-views'
import type { AlertSpec } from '@sluice/contracts/resources'
import type { Trouble } from '../evaluate/alert-state.ts'

const FIRST_PAUSE_MS = 5_000
const MAX_PAUSE_MS = 3_600_000

/** What became of one try. */
export interface Tried {
  readonly key: string
  readonly notice: AlertNotice
  /** Null: it was taken. */
  readonly trouble: Trouble | null
}

export interface CourierDeps {
  /** Resolves with null once the notice was taken, and with the reason otherwise. */
  readonly tell: (alert: AlertSpec, notice: AlertNotice) => Promise<string | null>
  readonly now: () => number
  /** The pause after a first failure; each further one is three times as long, up to an hour. */
  readonly firstPauseMs?: number | undefined
  /** Called after each try, once the courier takes another notice. */
  readonly onTried: (tried: Tried) => void
  /** Called with a fault, which is no reason of a target. */
  readonly onFault: (error: unknown) => void
}

export class Courier {
  readonly #deps: CourierDeps
  #trouble: Trouble | null
  #telling: Promise<void> | null = null

  constructor(trouble: Trouble | null, deps: CourierDeps) {
    this.#deps = deps
    this.#trouble = trouble
  }

  /** Resolves once nothing is on its way. */
  async idle(): Promise<void> {
    await this.#telling
  }

  /** When to offer it something again though nothing happens; null while it is not pausing. */
  get nextAt(): number | null {
    return this.#telling === null ? (this.#trouble?.nextAt ?? null) : null
  }

  /** The alert has changed, so another try may go better. */
  hurry(): void {
    if (this.#trouble !== null) this.#trouble = { ...this.#trouble, nextAt: this.#deps.now() }
  }

  /** Begins to tell the notice, unless it is busy or pauses. True if it has begun. */
  offer(alert: AlertSpec, key: string, notice: AlertNotice): boolean {
    if (this.#telling !== null || (this.#trouble !== null && this.#trouble.nextAt > this.#deps.now()))
      return false
    this.#telling = this.#tell(alert, key, notice)
    return true
  }

  async #tell(alert: AlertSpec, key: string, notice: AlertNotice): Promise<void> {
    const { tell, now, firstPauseMs = FIRST_PAUSE_MS, onTried, onFault } = this.#deps
    try {
      const why = await tell(alert, notice)
      this.#trouble = why === null ? null : troubleAfter(this.#trouble, why, { now: now(), firstPauseMs })
      this.#telling = null
      onTried({ key, notice, trouble: this.#trouble })
    } catch (error) {
      this.#telling = null
      onFault(error)
    }
  }
}

function troubleAfter(
  before: Trouble | null,
  error: string,
  { now, firstPauseMs }: { readonly now: number; readonly firstPauseMs: number },
): Trouble {
  const tries = (before?.tries ?? 0) + 1
  const pauseMs = Math.min(firstPauseMs * 3 ** Math.min(tries - 1, 10), MAX_PAUSE_MS)
  return { since: before?.since ?? now, tries, error, nextAt: now + pauseMs }
}
