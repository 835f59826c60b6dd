import { elapsedMs } from '@sluice/flow/elapsed-ms'
import type { Membership } from '@sluice/message-log/port'

/** A membership that is never in question, for a worker that is given its partition by the test. */
export function steadyMembership(): Membership {
  return {
    commit: () => Promise.resolve(true),
    get lastHeartbeatMs() {
      return elapsedMs()
    },
    leave: () => Promise.resolve(),
    async *[Symbol.asyncIterator]() {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
