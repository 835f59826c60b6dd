/** All services at work in one process. */
import { runChangeDetector } from '@sluice/change-detector/change-detector'
import { runDelivery } from '@sluice/delivery/delivery'
import { UnrecordedRequests } from '@sluice/delivery/send/unrecorded-requests'
import { Throttles } from '@sluice/delivery/send/throttles'
import type { Ends } from '@sluice/flow/ends'
import { newSuspects } from '@sluice/partition/deaths/entry'
import { runRenderer } from '@sluice/renderer/renderer'

type DetectorDeps = Parameters<typeof runChangeDetector>[0]
type DeliveryDeps = Parameters<typeof runDelivery>[0]

/** The ports that the caller opens. The other dependencies are the same in every process of this profile. */
export type EmbeddedServices = Omit<DetectorDeps, 'now' | 'runsAfterDeaths' | 'isOneProcess'> &
  Omit<Parameters<typeof runRenderer>[0], 'suspects'> &
  Omit<DeliveryDeps, 'throttles' | 'unrecorded' | 'suspects' | 'onError'>

/**
 * Runs all services and `beside` until they are drained. If one fails, the others drain, too.
 */
export async function runServices(
  deps: EmbeddedServices,
  ends: Ends,
  beside: (ends: Ends) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController()
  const all: Ends = { drain: AbortSignal.any([ends.drain, stopping.signal]), abort: ends.abort }
  const onError = (err: unknown): void => deps.logger.error({ err }, 'the limits could not be kept')
  // A command that is started again after a death meets the same row, or the same answer, again.
  const [rendering, delivering] = [newSuspects(), newSuspects()]
  const sending = {
    throttles: new Throttles(),
    unrecorded: new UnrecordedRequests(),
    suspects: delivering,
    onError,
  }
  const services = [
    runChangeDetector({ ...deps, now: Date.now, isOneProcess: true }, all),
    runRenderer({ ...deps, suspects: rendering }, all),
    runDelivery({ ...deps, ...sending }, all),
    beside(all),
  ]
  await Promise.all(
    services.map(service =>
      service.catch((error: unknown) => {
        stopping.abort(error)
        throw error
      }),
    ),
  ).finally(() => Promise.allSettled(services))
}
