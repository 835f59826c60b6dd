import { FakeClock } from '@sluice/testkit/fake-clock'
import { usagePromises } from '../../test/usage-promises.ts'
import { createLocalRateLimit } from './local.ts'

usagePromises('told by the limits of one process', () => {
  const clock = new FakeClock()
  const limit = createLocalRateLimit({ now: clock.now })
  return Promise.resolve({
    limit,
    usage: limit,
    async pass(ms) {
      clock.advance(ms)
    },
    async close() {
      await limit[Symbol.asyncDispose]()
    },
  })
})
