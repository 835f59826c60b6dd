/** Random histories of real processes; `npm run test:fault` plays any number of them. */
import { randomInt } from 'node:crypto'
import { expect, it } from 'vitest'
import { playFaultHistory } from './fault-history.ts'

const HISTORIES = 6
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))

it.for(Array.from({ length: HISTORIES }, (_, index) => SEED + index))(
  'converges whatever dies when, and repeats no decision (SLUICE_TEST_SEED=%d)',
  { timeout: 600_000 },
  async seed => {
    const { runs } = await playFaultHistory(seed, 'embedded')
    expect(runs).toBeGreaterThan(0)
  },
)
