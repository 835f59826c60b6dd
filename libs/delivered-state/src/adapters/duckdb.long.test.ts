import { randomInt } from 'node:crypto'
import { expect, it } from 'vitest'
import type { Change } from '@sluice/contracts/records'
import { sampleChange } from '@sluice/testkit/sample-records'
import { deliveredStateLongContract } from '../contract.ts'
import { duckdbHarness } from '../contract/duckdb-harness.ts'
import { type DeliveredStateHarness, TIMEOUT } from '../contract/harness.ts'
import { History } from '../contract/history.ts'
import type { EndedKey } from '../port.ts'

const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))

const harness = duckdbHarness()
const { open: openState } = harness

deliveredStateLongContract('duckdb', () => harness)

it('notes more gone keys than it compares at once', TIMEOUT, async () => {
  const keys = Array.from({ length: 300_000 }, (_, index) => `0189cd3a-1111-4222-8333-${index}`)
  await using state = await harness.open({ name: 'state' })
  let offset = 0
  const feed = async (run: number, of: Partial<Change>): Promise<void> => {
    for (let from = 0; from < keys.length; from += 10_000) {
      const records = keys.slice(from, from + 10_000).map((key, index) => {
        const change = { ...sampleChange({ key, run, seq: from + index }), ...of }
        return { offset: offset++, timestamp: run, change }
      })
      await state.feed({ partition: 0, changes: { records, nextOffset: offset } })
    }
    await state.commit()
  }
  const told = new Set<string>()
  const end = async (gone: readonly EndedKey[]): Promise<void> => gone.forEach(({ key }) => told.add(key))
  const { signal } = new AbortController()
  await feed(1, { op: 'added', before: null, beforeState: 'absent', after: { id: 'x' } })
  await state.endGone(9, end, { signal })
  expect(told.size).toBe(0)
  await feed(2, { op: 'removed', before: { id: 'x' }, beforeState: 'present', after: null })
  await state.endGone(9, end, { signal })
  expect(told.size).toBe(keys.length)
})

const pieceRows = 1 + (SEED % 3)
it(
  `a large diff finds the same in pieces of ${pieceRows} changes (SLUICE_TEST_SEED=${SEED})`,
  TIMEOUT,
  async () => {
    const open: DeliveredStateHarness['open'] = options => openState({ ...options, pieceRows })
    await new History({ ...harness, open }, SEED).play()
  },
)
