/** The suite that every delivered state passes. */
import { describe, it } from 'vitest'
import { cacheSuite } from './contract/cache.ts'
import { changedModelsSuite } from './contract/changed-models.ts'
import { everyCharacterSuite } from './contract/every-character.ts'
import { everyTypeSuite } from './contract/every-type.ts'
import { foundChangesSuite, manyColumnsSuite } from './contract/found-changes.ts'
import { goneKeysSuite } from './contract/gone-keys.ts'
import { type DeliveredStateHarness, TIMEOUT } from './contract/harness.ts'
import { History } from './contract/history.ts'
import { keyStatesSuite } from './contract/key-states.ts'
import { toldApartSuite } from './contract/told-apart.ts'
import { twinKeysSuite } from './contract/twin-keys.ts'
import { rememberedPartitionsSuite } from './contract/remembered-partitions.ts'

/** What is decided, whatever the values are. */
export function deliveredStateContract(name: string, harness: () => DeliveredStateHarness): void {
  keyStatesSuite(name, harness)
  foundChangesSuite(name, harness)
  rememberedPartitionsSuite(name, harness)
  twinKeysSuite(name, harness)
  goneKeysSuite(name, harness)
  cacheSuite(name, harness)
  randomHistories(name, harness, 1)
}

/** Models that change, every type, every character, and all pairs of values that are alike: minutes. */
export function deliveredStateLongContract(name: string, harness: () => DeliveredStateHarness): void {
  changedModelsSuite(name, harness)
  manyColumnsSuite(name, harness)
  everyCharacterSuite(name, harness)
  everyTypeSuite(name, harness)
  toldApartSuite(name, harness)
  randomHistories(name, harness, 3)
}

function randomHistories(name: string, harness: () => DeliveredStateHarness, usual: number): void {
  describe(`${name}: random histories`, TIMEOUT, () => {
    const first = Number(process.env['SLUICE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    const count = Number(process.env['SLUICE_TEST_HISTORIES'] ?? usual)
    for (let seed = first; seed < first + count; seed++)
      it(
        `find what the tables say, whatever happened (SLUICE_TEST_SEED=${seed})`,
        { timeout: 60_000 },
        async () => {
          await new History(harness(), seed).play()
        },
      )
  })
}
