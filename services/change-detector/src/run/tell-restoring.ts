/**
 * Tells how far the delivered state is brought up to date from its topics, which takes a while in a rebuild.
 * Operators get a line every few seconds, and people who watch the run an event each second. It looks at the
 * clock only when records have been read, so it reports only real progress.
 */
import type { Restoring } from '@sluice/contracts/run-records'
import type { Logger } from '@sluice/runtime/logger'

const LOG_EVERY_MS = 5000
const EVENT_EVERY_MS = 1000

export interface RestoringTold {
  readonly sync: string
  readonly logger: Logger
  /** Milliseconds of a monotonic clock. */
  readonly steadyNow: () => number
  /** Writes the run's event; null once the restore is over. Resolves once the log has acknowledged it. */
  readonly write: (restoring: Restoring | null) => Promise<void>
}

/** One restore at a time: begins with its first progress, and is over with `end`. */
export class RestoringTeller {
  readonly #told: RestoringTold
  #startedAt: number | null = null
  #loggedAt = 0
  #writtenAt = 0
  #last: Restoring | null = null
  #isWritten = false

  constructor(told: RestoringTold) {
    this.#told = told
  }

  /**
   * Takes the newest progress. It is called with each batch of records, and waits while an event is written.
   */
  async tell(restoring: Restoring): Promise<void> {
    const { sync, logger, steadyNow, write } = this.#told
    const now = steadyNow()
    const { why, of } = restoring
    this.#last = restoring
    if (this.#startedAt === null) {
      this.#startedAt = this.#loggedAt = this.#writtenAt = now
      if (why !== null)
        logger.info({ sync, why, records: of }, 'the delivered state is rebuilt from its topics')
      return
    }
    if (now - this.#loggedAt >= LOG_EVERY_MS) {
      this.#loggedAt = now
      logger.info({ sync, ...this.#figures(restoring, now) }, messageOf(restoring))
    }
    if (now - this.#writtenAt >= EVENT_EVERY_MS) {
      this.#isWritten = true
      await write(restoring)
      // The time that the event itself took does not count: there was nothing more to tell in it.
      this.#writtenAt = steadyNow()
    }
  }

  /** The state is up to date. After a rebuild it logs the figures. */
  async end(): Promise<void> {
    const { sync, logger, steadyNow, write } = this.#told
    if (this.#isWritten) await write(null)
    if (this.#last !== null && this.#last.why !== null)
      logger.info({ sync, ...this.#figures(this.#last, steadyNow()) }, 'the delivered state is rebuilt')
  }

  #figures({ records, of }: Restoring, now: number): object {
    const ms = now - (this.#startedAt ?? now)
    return {
      records,
      of,
      percent: of === 0 ? 100 : Math.floor((100 * records) / of),
      perSecond: ms <= 0 ? null : Math.round((1000 * records) / ms),
    }
  }
}

function messageOf({ why, records, of }: Restoring): string {
  const what = why === null ? 'brought up to date' : 'rebuilt'
  return records < of
    ? `the delivered state is being ${what}`
    : `the delivered state is being ${what}: all is read, and merged now`
}
