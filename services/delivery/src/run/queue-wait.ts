/** What the requests of a run wait for, if they do. */
import type { WaitNow } from '@sluice/contracts/run-records'
import type { AttemptCredentials } from '../destination/attempt-credentials.ts'
import type { DestinationGate } from '../send/destination-gate.ts'
import type { ThrottleWindow } from '../send/throttle-window.ts'
import type { WaitingRequests } from '../send/waiting-requests.ts'

const THROTTLED = 'the API asked for a pause, and took no request since'

/** Null while requests are sent, or there is none. */
export function queueWait(
  {
    queued,
    underWay,
    window,
  }: {
    readonly queued: number
    readonly underWay: number
    readonly window: Pick<ThrottleWindow, 'isThrottled'>
  },
  of: {
    readonly gate: DestinationGate
    readonly credentials: AttemptCredentials | null
    readonly waiting: Pick<WaitingRequests, 'waitsFor'>
  },
): WaitNow | null {
  const { gate, credentials, waiting } = of
  const token = credentials?.waitsFor ?? null
  if (queued > 0 && token !== null) return token
  const wait = queued === 0 ? null : gate.waitsFor(underWay)
  // Between two pauses a single request is on its way, which most likely is throttled, too.
  if (window.isThrottled && wait?.kind !== 'breaker')
    return { kind: 'throttled', until: wait?.until ?? gate.restsUntil, detail: THROTTLED }
  return wait ?? (queued + underWay > 0 ? null : waiting.waitsFor)
}
