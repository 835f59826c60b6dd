/** The suite that every delivered state passes. */
import { describe, it } from 'vitest'
import { cacheSuite } from './cache.ts'
import { changedModelsSuite } from './changed-models.ts'
import { everyCharacterSuite } from './every-character.ts'
import { everyTypeSuite } from './every-type.ts'
import { foundChangesSuite, manyColumnsSuite } from './found-changes.ts'
import { goneKeysSuite } from './gone-keys.ts'
import { type DeliveredStateHarness, TIMEOUT } from './harness.ts'
import { History } from './history.ts'
import { keyStatesSuite } from './key-states.ts'
import { toldApartSuite } from './told-apart.ts'
import { twinKeysSuite } from './twin-keys.ts'
import { rememberedPartitionsSuite } from './remembered-partitions.ts'

/** These decisions hold, whatever the values are. */
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
