import type { Health } from '@sluice/domain/answers/health'
import type { Burst } from './burst.ts'
import type { Permits } from './destination-gate.ts'

/** Leave for one request: it ends as finished, or as given back unused. Only the first of the two counts. */
export interface Permit {
  readonly useBeforeMs: number
  readonly finish: (health: Health) => void
  readonly giveBack: () => void
  /** The same, since it could not be used in time. */
  readonly late: () => void
}

/** `tell` is told whether it was used in time. */
export function onePermit(lease: Permits, tell: ReturnType<Burst['begin']>): Permit {
  let ended = false
  const end = (how: () => void): void => {
    if (!ended) how()
    ended = true
  }
  return {
    useBeforeMs: lease.useBeforeMs,
    finish: health =>
      end(() => {
        tell('in time')
        lease.finished(health)
      }),
    giveBack: () => end(() => lease.unused(1)),
    late: () =>
      end(() => {
        tell('late')
        lease.late()
      }),
  }
}
