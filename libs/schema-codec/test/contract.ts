/**
 * The promises of `port.ts` as a suite that every adapter passes:
 *
 *     schemaCodecContract('sqlite', async () => ({ open, close }))
 *
 * This folder has one file for each kind of promise. The tests of promises that only one adapter makes stand
 * beside that adapter.
 */
import { describe } from 'vitest'
import { abortContract } from './aborts.ts'
import { compatibilityContract } from './compatibility.ts'
import { corruptContract, damagedContract } from './corrupt-bytes.ts'
import { encodedRowContract } from './encoded-rows.ts'
import { Fixture, type SchemaCodecHarness } from './fixture.ts'
import { everyCharacterContract } from './every-character.ts'
import { recordContract } from './records.ts'
import { schemaContract } from './schemas.ts'

export type { SchemaCodecHarness } from './fixture.ts'

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

/** Tests that take half a minute, registered as the suite above is. */
export function schemaCodecLongContract(name: string, start: () => Promise<SchemaCodecHarness>): void {
  describe(`schema codec: ${name}`, () => {
    const fixture = new Fixture(start)
    fixture.register()
    describe('records', () => everyCharacterContract(fixture))
    describe('bytes that are no record', () => damagedContract(fixture, 100_000))
  })
}
