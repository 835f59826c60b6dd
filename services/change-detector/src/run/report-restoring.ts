/**
 * Reports how far the delivered state is brought up to date from its topics, which takes a while in a
 * rebuild. Operators get a line of the log every few seconds. People who watch the run get an event each
 * second. The clock is looked at only when records have been read. So each report shows real progress.
 */
import type { Restoring } from '@sluice/contracts/records'
import type { Logger } from '@sluice/runtime/logger'

const LOG_EVERY_MS = 5000
const EVENT_EVERY_MS = 1000

export interface RestoringReporterOptions {
  readonly sync: string
  readonly logger: Logger
  /** Milliseconds of a monotonic clock. */
  readonly steadyNow: () => number
  /** Writes the run's event; null once the restore is over. Resolves once the log has acknowledged it. */
  readonly write: (restoring: Restoring | null) => Promise<void>
}

/** Reports one restore. It begins with the first progress, and is over with `end`. */
export class RestoringReporter {
  readonly #options: RestoringReporterOptions
  #startedAt: number | null = null
  #loggedAt = 0
  #writtenAt = 0
  #last: Restoring | null = null
  #isWritten = false

  constructor(options: RestoringReporterOptions) {
    this.#options = options
  }

  /** To be called after each batch of records, with the progress so far. Waits while an event is written. */
  async report(restoring: Restoring): Promise<void> {
    const { sync, logger, steadyNow, write } = this.#options
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
      logger.info({ sync, ...this.#progress(restoring, now) }, messageOf(restoring))
    }
    if (now - this.#writtenAt >= EVENT_EVERY_MS) {
      this.#isWritten = true
      await write(restoring)
      // The time for writing the event does not count, since the restore reads nothing meanwhile.
      this.#writtenAt = steadyNow()
    }
  }

  /** Takes the end of the restore. After a rebuild it logs how much was read, and how fast. */
  async end(): Promise<void> {
    const { sync, logger, steadyNow, write } = this.#options
    if (this.#isWritten) await write(null)
    if (this.#last !== null && this.#last.why !== null)
      logger.info({ sync, ...this.#progress(this.#last, steadyNow()) }, 'the delivered state is rebuilt')
  }

  #progress({ records, of }: Restoring, now: number): object {
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
  const done = why === null ? 'brought up to date' : 'rebuilt'
  return records < of
    ? `the delivered state is being ${done}`
    : `the delivered state is being ${done}: all is read, and merged now`
}
