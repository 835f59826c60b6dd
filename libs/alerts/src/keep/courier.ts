/**
 * Sends the notices of one alert, one at a time, the oldest first. After a failure the courier pauses, longer
 * each time, and then tries the same notice again. Notices of other alerts do not wait for it.
 *
 * States: idle → sending → idle, or pausing → sending.
 */
import type { AlertNotice } from '@sluice/contracts/specs/alert-views'
import type { AlertSpec } from '@sluice/contracts/resources'
import type { Trouble } from '../evaluate/alert-state.ts'

const FIRST_PAUSE_MS = 5_000
const MAX_PAUSE_MS = 3_600_000

/** The result of one attempt to send a notice. */
export interface NoticeAttempt {
  readonly key: string
  readonly notice: AlertNotice
  /** Null if the target accepted the notice. */
  readonly trouble: Trouble | null
}

export interface CourierDeps {
  /** Resolves with null once the target has accepted the notice, and with the reason otherwise. */
  readonly send: (alert: AlertSpec, notice: AlertNotice) => Promise<string | null>
  readonly now: () => number
  /** The pause after a first failure. Each further pause is three times as long, up to an hour. */
  readonly firstPauseMs?: number | undefined
  /** Called after each attempt, when the courier can take another notice. */
  readonly onAttempt: (attempt: NoticeAttempt) => void
  /** Called with an error of this process. Errors of targets are results of attempts. */
  readonly onFault: (error: unknown) => void
}

export class Courier {
  readonly #deps: CourierDeps
  #trouble: Trouble | null
  #sending: Promise<void> | null = null

  constructor(trouble: Trouble | null, deps: CourierDeps) {
    this.#deps = deps
    this.#trouble = trouble
  }

  /** Resolves once no notice is being sent. */
  async idle(): Promise<void> {
    await this.#sending
  }

  /**
   * The time of the next attempt after a failure. Null without a failure, and while a notice is being sent.
   */
  get nextAt(): number | null {
    return this.#sending === null ? (this.#trouble?.nextAt ?? null) : null
  }

  /** Ends the pause, since the alert has changed and another attempt may succeed. */
  hurry(): void {
    if (this.#trouble !== null) this.#trouble = { ...this.#trouble, nextAt: this.#deps.now() }
  }

  /** Begins to send the notice, unless the courier is busy or pauses. Returns true if it has begun. */
  offer(alert: AlertSpec, key: string, notice: AlertNotice): boolean {
    if (this.#sending !== null || (this.#trouble !== null && this.#trouble.nextAt > this.#deps.now()))
      return false
    this.#sending = this.#send(alert, key, notice)
    return true
  }

  async #send(alert: AlertSpec, key: string, notice: AlertNotice): Promise<void> {
    const { send, now, firstPauseMs = FIRST_PAUSE_MS, onAttempt, onFault } = this.#deps
    try {
      const why = await send(alert, notice)
      this.#trouble = why === null ? null : troubleAfter(this.#trouble, why, { now: now(), firstPauseMs })
      this.#sending = null
      onAttempt({ key, notice, trouble: this.#trouble })
    } catch (error) {
      this.#sending = null
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
