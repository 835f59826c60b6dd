/**
 * What a stage knows of a sync that is set aside: the sync cannot go on, and all others do (R12, PROTOCOL.md
 * §11). The stage logs the reason once, and once that the sync works again. A metric shows what is set aside
 * now.
 */
import { messageOf } from '@sluice/contracts/errors'
import { doublingPause } from '@sluice/flow/retry'
import type { Logger } from '@sluice/runtime/logger'
import type { Figures } from './figures.ts'
import type { StageName } from '@sluice/topics/topics'

const PAUSES = { firstMs: 1_000, maxMs: 60_000 } as const

/**
 * How long to wait before the next try, after so many failures in a row; `random` is at least 0 and below 1.
 */
export function pauseAfter(failures: number, random: () => number = Math.random): number {
  // Many syncs that failed for the same reason must not all come back at the same moment.
  return doublingPause(failures, PAUSES) * (0.75 + random() / 2)
}

export interface SetAsideOf {
  readonly stage: StageName
  readonly sync: string
  readonly logger: Pick<Logger, 'info' | 'error'>
  readonly figures?: Figures | undefined
}

/** One sync in one stage; places are its partitions, or null for the sync as a whole. */
export class SetAsides {
  readonly #of: SetAsideOf
  /** The reason of each place that is set aside. */
  readonly #reasons = new Map<number | null, string>()

  constructor(of: SetAsideOf) {
    this.#of = of
  }

  /** Takes a failure. The same reason is logged once, however often the sync fails for it. */
  failed(place: number | null, error: unknown): void {
    const { stage, sync, logger } = this.#of
    const reason = messageOf(error)
    if (this.#reasons.get(place) === reason) return
    this.#reasons.set(place, reason)
    this.#count()
    const what = { sync, stage, partition: place ?? undefined, err: error }
    logger.error(what, `the sync is set aside: ${reason}`)
  }

  /** It works again. */
  works(place: number | null): void {
    if (!this.#reasons.delete(place)) return
    this.#count()
    const { stage, sync, logger } = this.#of
    logger.info({ sync, stage, partition: place ?? undefined }, 'the sync is worked on again')
  }

  /** This process tries the place no more: the run has ended, or another process has the partition. */
  left(place: number | null): void {
    if (this.#reasons.delete(place)) this.#count()
  }

  #count(): void {
    const { stage, sync, figures } = this.#of
    figures?.setAside(stage, sync, this.#reasons.size)
  }
}
