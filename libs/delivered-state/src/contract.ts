/** The suite that every delivered state passes. */
import { describe, expect, it } from 'vitest'
import { changesOf, type DeliveredStateHarness, requestFor } from './contract-harness.ts'
import { History } from './contract-history.ts'

export function deliveredStateContract(name: string, harness: () => DeliveredStateHarness): void {
  describe(`${name}: random histories`, () => {
    const first = Number(process.env['SLUICE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    const count = Number(process.env['SLUICE_HISTORIES'] ?? 4)
    for (let seed = first; seed < first + count; seed++)
      it(
        `finds what the tables say, whatever happened (SLUICE_SEED=${seed})`,
        { timeout: 60_000 },
        async () => {
          await new History(harness(), seed).play()
        },
      )
  })
  void expect
  void changesOf
  void requestFor
}
