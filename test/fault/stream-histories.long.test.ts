/** Random histories of streams; `npm run test:fault -- --streams` plays any number of them. */
import { expect, inject, it } from 'vitest'
import { playStreamHistory } from './stream-history.ts'
import type { StreamProfile } from './stream-world.ts'
import { realServices } from '../e2e/distributed.ts'

const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? 2_000)
const postgres = inject('postgresUrl')
const brokers = inject('kafkaBrokers')
const services = realServices()

it.for([
  ['embedded', SEED],
  ['distributed', SEED + 1],
] as const satisfies readonly (readonly [StreamProfile, number])[])(
  'of a stream keep the order of each key, lose nothing, and repeat no more than a kill may (%s, SLUICE_TEST_SEED=%d)',
  { timeout: 600_000 },
  async ([profile, seed], { skip }) => {
    if (postgres === null || brokers === null || services === null) return skip('services are missing')
    const { requests } = await playStreamHistory(seed, {
      ...{ profile, postgres, brokers, services },
      // Other tests use this Kafka.
      outage: null,
      outages: () => 0,
      whileKafkaIsThere: work => work(),
    })
    expect(requests).toBeGreaterThan(0)
  },
)
