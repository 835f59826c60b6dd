/** The health of destinations as a metric. */
import type { Metrics } from '@sluice/runtime/metrics'
import type { ProjectControl } from '../project-control.ts'

/** A scrape waits at most this long for the log. */
const MAX_WAIT_MS = 2_000

/**
 * Registers the metric that shows the state of each destination: 1 for its present state. The state is
 * computed when somebody reads the metrics. Call it once per process.
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
