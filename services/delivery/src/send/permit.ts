import type { Health } from '@sluice/domain/answers/health'
import type { Permits } from './destination-gate.ts'

/** Leave for one request: it ends as finished, or as given back unused. Only the first of the two counts. */
export interface Permit {
  readonly useBeforeMs: number
  readonly finish: (health: Health) => void
  readonly giveBack: () => void
  /** The same, since it could not be used in time. */
  readonly late: () => void
}

export function onePermit(lease: Permits): Permit {
  let ended = false
  const end = (how: () => void): void => {
    if (!ended) how()
    ended = true
  }
  return {
    useBeforeMs: lease.useBeforeMs,
    finish: health => end(() => lease.finished(health)),
    giveBack: () => end(() => lease.unused(1)),
    late: () => end(() => lease.late()),
  }
}
