import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeClock } from '@sluice/testkit/fake-clock'
import { rateLimitContract } from '../contract.ts'
import { createLocalRateLimit } from './local.ts'
import type { RateLimit } from '../port.ts'

rateLimitContract('local', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-limits-'))
  const clock = new FakeClock()
  const opened: RateLimit[] = []
  return {
    shared: false,
    async open() {
      const limit = createLocalRateLimit({ file: join(folder, 'limits.sqlite'), now: clock.now })
      opened.push(limit)
      return limit
    },
    now: clock.now,
    async pass(ms) {
      clock.advance(ms)
    },
    deadline: grant => grant.useBeforeMs + performance.timeOrigin,
    async close() {
      for (const limit of opened) await limit[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    },
  }
})
