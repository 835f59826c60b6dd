/** The health of destinations as a metric. */
import type { Metrics } from '@sluice/runtime/metrics'
import type { ProjectControl } from '../project-control.ts'

/** A scrape waits no longer for the log. */
const MAX_WAIT_MS = 2_000

/**
 * Shows the state of each destination from now on: 1 for its present one. It is found out when somebody reads
 * the metrics. Call it once per process.
 */
export function showDestinationHealth(
  metrics: Metrics,
  control: Pick<ProjectControl, 'destinationHealth'>,
): void {
  metrics.sampled({
    name: 'destination_health',
    help: 'The health of a destination: 1 for its present state',
    labels: ['destination', 'state'],
    sample: async () => {
      const health = await control.destinationHealth(AbortSignal.timeout(MAX_WAIT_MS))
      return [...health].map(([destination, { state }]) => ({ labels: { destination, state }, value: 1 }))
    },
  })
}
