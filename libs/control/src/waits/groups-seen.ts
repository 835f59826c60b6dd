/**
 * The last known states of the groups of services. Many people may look at many runs at the same time. So
 * they share one query, and use its result for a while.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import { elapsedMs, type Clocks } from '@sluice/flow/elapsed-ms'
import type { MessageLog } from '@sluice/message-log/port'
import type { Logger } from '@sluice/runtime/logger'
import type { SeenGroup } from './service-waits.ts'

/** The result of a query is used for at least this long. */
export const LOOK_MS = 500
/** Each group costs the log one request. So the more groups are known, the longer their states are reused. */
const MS_PER_GROUP = 10
/** A view of a run waits at most this long for the log. */
const MAX_WAIT_MS = 3_000
/** The pauses after a failure: the log is away, or this user may not look at groups. */
const PAUSE_MS = 2_000
const PAUSE_WITHOUT_RIGHT_MS = 60_000
/** A state older than this is dropped, since the group may have changed many times. */
const FORGOTTEN_AFTER_MS = 10_000

interface Known extends SeenGroup {
  readonly lookedAtMs: number
}

interface Looks {
  readonly log: Pick<MessageLog, 'groupStates'>
  readonly logger: Pick<Logger, 'info'>
}

const CLOCKS: Clocks = { steadyMs: elapsedMs, wallMs: () => Date.now() }

export class GroupsSeen {
  readonly #log: Looks['log']
  readonly #logger: Looks['logger']
  readonly #steadyMs: () => number
  readonly #wallMs: () => number
  readonly #seen = new Map<string, Known>()
  readonly #wanted = new Set<string>()
  #asking: Promise<void> | null = null
  #pausedUntilMs = -Infinity
  /** True once this process has logged that its user may not see groups. */
  #isRefused = false

  constructor({ log, logger }: Looks, { steadyMs, wallMs }: Clocks = CLOCKS) {
    this.#log = log
    this.#logger = logger
    this.#steadyMs = steadyMs
    this.#wallMs = wallMs
  }

  /**
   * Resolves with the states of the groups that are known, which may lack some of these. Rejects only with
   * the signal's reason.
   */
  async look(groups: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, SeenGroup>> {
    const nowMs = this.#steadyMs()
    this.#forget(nowMs)
    const holdsMs = Math.max(LOOK_MS, this.#seen.size * MS_PER_GROUP)
    // With regular looks, the last state must not be just fresh enough each time. So a state counts as stale
    // a bit earlier.
    const stale = groups.filter(
      group => nowMs - (this.#seen.get(group)?.lookedAtMs ?? -Infinity) > holdsMs * 0.8,
    )
    if (stale.length > 0 && nowMs >= this.#pausedUntilMs) {
      for (const group of stale) this.#wanted.add(group)
      this.#asking ??= this.#ask()
      await this.#asking
      signal.throwIfAborted()
    }
    return this.#seen
  }

  /** Asks for all groups that are wanted by the end of this turn. */
  async #ask(): Promise<void> {
    await Promise.resolve()
    const groups = [...this.#wanted]
    this.#wanted.clear()
    this.#asking = null
    const patience = AbortSignal.timeout(MAX_WAIT_MS)
    try {
      const states = await this.#log.groupStates(groups, { signal: patience })
      const now = { lookedAtMs: this.#steadyMs(), at: this.#wallMs() }
      for (const [group, state] of states) {
        const known = this.#seen.get(group)
        const isSame = known?.state === state
        this.#seen.set(group, {
          state,
          since: isSame ? known.since : now.at,
          isFirst: isSame ? known.isFirst : known === undefined,
          lookedAtMs: now.lookedAtMs,
        })
      }
    } catch (error) {
      if (!isSluiceError(error) && error !== patience.reason) throw error
      const isRefused = isSluiceError(error, 'config')
      if (isRefused && !this.#isRefused)
        this.#logger.info({ err: error }, 'nobody is told which services are not at work')
      this.#isRefused ||= isRefused
      this.#pausedUntilMs = this.#steadyMs() + (isRefused ? PAUSE_WITHOUT_RIGHT_MS : PAUSE_MS)
      for (const group of groups) this.#seen.delete(group)
    }
  }

  #forget(nowMs: number): void {
    for (const [group, { lookedAtMs }] of this.#seen)
      if (nowMs - lookedAtMs > FORGOTTEN_AFTER_MS) this.#seen.delete(group)
  }
}
