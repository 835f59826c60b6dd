/** Tells operators of breakers that open and close: in the log once, and as a figure. */
import type { Figures } from '@sluice/partition/figures'
import type { OnBreaker } from '@sluice/rate-limit/lease-queue'
import type { Logger } from '@sluice/runtime/logger'
import { brokenText } from './destination-gate.ts'

export function tellOfBreakers(of: {
  readonly logger: Logger
  readonly figures?: Figures | undefined
}): OnBreaker {
  const { logger, figures } = of
  return (scope, broken) => {
    const destination = scope.replace(/^destination\//, '')
    figures?.breaker(destination, broken !== null)
    if (broken === null)
      logger.info({ destination }, 'the breaker is closed: requests go to the destination again')
    else logger.warn({ destination, ...broken }, `nothing is sent but probes: ${brokenText(broken)}`)
  }
}
