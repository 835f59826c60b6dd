import { elapsedMs } from '@sluice/flow/elapsed-ms'
import type { Membership } from '@sluice/message-log/port'

/** A membership that never ends, for a worker that gets its partition from the test. */
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
