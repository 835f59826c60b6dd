/**
 * What a stage knows of a sync that cannot go on, and is set aside while all others do (R12, PROTOCOL.md
 * §11). It tells people once why, and once when it works again; a metric shows what is set aside now.
 */
import type { Logger } from '@sluice/runtime/logger'
import type { Figures } from './figures.ts'
import type { StageName } from '@sluice/topics/topics'

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000

/**
 * How long to wait before the next try, after so many failures in a row; `random` is at least 0 and below 1.
 */
export function pauseAfter(failures: number, random: () => number = Math.random): number {
  const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 30), LONGEST_PAUSE_MS)
  // Many syncs that stumbled over the same are not to come back at once.
  return pauseMs * (0.75 + random() / 2)
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

  /** Takes a failure. The same reason is logged once, however often it is tried. */
  failed(place: number | null, error: unknown): void {
    const { stage, sync, logger } = this.#of
    const reason = error instanceof Error ? error.message : String(error)
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

  /** Nobody tries it here any more: its run has ended, or others have the partition. */
  left(place: number | null): void {
    if (this.#reasons.delete(place)) this.#count()
  }

  #count(): void {
    const { stage, sync, figures } = this.#of
    figures?.setAside(stage, sync, this.#reasons.size)
  }
}
