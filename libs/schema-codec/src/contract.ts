/**
 * The promises of `port.ts` as a suite that every adapter passes:
 *
 *     schemaCodecContract('sqlite', async () => ({ open, close }))
 *
 * One file per kind of promise in `contract/`. What only one adapter promises is tested beside that adapter.
 */
import { describe } from 'vitest'
import { abortContract } from './contract/aborts.ts'
import { compatibilityContract } from './contract/compatibility.ts'
import { corruptContract, damagedContract } from './contract/corrupt-bytes.ts'
import { encodedRowContract } from './contract/encoded-rows.ts'
import { Fixture, type SchemaCodecHarness } from './contract/fixture.ts'
import { everyCharacterContract } from './contract/every-character.ts'
import { recordContract } from './contract/records.ts'
import { schemaContract } from './contract/schemas.ts'

export type { SchemaCodecHarness } from './contract/fixture.ts'

/**
 * Registers the suite under `name`. `start` is called once, before the first test; the harness is closed
 * after the last.
 */
export function schemaCodecContract(name: string, start: () => Promise<SchemaCodecHarness>): void {
  describe(`schema codec: ${name}`, () => {
    const fixture = new Fixture(start)
    fixture.register()
    describe('records', () => recordContract(fixture))
    describe('rows of changes', () => encodedRowContract(fixture))
    describe('bytes that are no record', () => corruptContract(fixture))
    describe('schemas', () => schemaContract(fixture))
    describe('compatibility', () => compatibilityContract(fixture))
    describe('aborts', () => abortContract(fixture))
  })
}

/** What takes half a minute, registered as the suite above is. */
export function schemaCodecLongContract(name: string, start: () => Promise<SchemaCodecHarness>): void {
  describe(`schema codec: ${name}`, () => {
    const fixture = new Fixture(start)
    fixture.register()
    describe('records', () => everyCharacterContract(fixture))
    describe('bytes that are no record', () => damagedContract(fixture, 100_000))
  })
}
