import { expect, it } from 'vitest'
import { changeSchema, SCHEMAS } from '@sluice/contracts/avro-schemas'
import { isSluiceError } from '@sluice/contracts/errors'
import { change, type Fixture } from './fixture.ts'
import { Random, randomColumns, randomRow } from './random-rows.ts'
import { RECORD_SAMPLES } from './record-samples.ts'

export function corruptContract(fixture: Fixture): void {
  async function decodeAll(values: readonly Uint8Array[]): Promise<void> {
    await fixture.open().decode(values, { signal: fixture.signal })
  }

  it.each([
    ['nothing', ''],
    ['a header cut short', '000000'],
    ['another magic byte', '010000000100'],
    ['JSON', Buffer.from('{"run": 1}').toString('hex')],
    ['a schema id that nobody gave out', '007fffffff00'],
  ])('refuses %s as corrupt', async (_, hex) => {
    await expect(decodeAll([Buffer.from(hex, 'hex')])).rejects.toMatchObject({ code: 'corrupt' })
  })

  it('refuses a record that is cut anywhere, or goes on after its end', { timeout: 60_000 }, async () => {
    const codec = fixture.open()
    const [record] = await fixture.encoded(codec, SCHEMAS.Attempt, [RECORD_SAMPLES.Attempt])
    if (record === undefined) throw new Error('nothing was encoded')
    const { signal } = fixture
    for (let length = 0; length < record.length; length++) {
      await expect(codec.decode([record.subarray(0, length)], { signal })).rejects.toMatchObject({
        code: 'corrupt',
      })
    }
    const longer = Buffer.concat([record, Buffer.alloc(1)])
    await expect(codec.decode([longer], { signal })).rejects.toMatchObject({ code: 'corrupt' })
  })

  it(
    'reads damaged bytes as a record or as corrupt, and neither hangs nor fails otherwise',
    { timeout: 60_000 },
    async () => {
      const codec = fixture.open()
      const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)
      const random = new Random(seed)
      const columns = randomColumns(random)
      const records = await fixture.encoded(
        codec,
        changeSchema(columns),
        Array.from({ length: 20 }, () => change(randomRow(columns, random))),
      )
      records.push(...(await fixture.encoded(codec, SCHEMAS.Attempt, [RECORD_SAMPLES.Attempt])))
      for (let round = 0; round < 3000; round++) {
        const damaged = Buffer.from(records[random.below(records.length)] ?? [])
        for (let i = 0; i <= random.below(4); i++)
          damaged[5 + random.below(damaged.length - 5)] = random.below(256)
        const error: unknown = await codec.decode([damaged], { signal: fixture.signal }).then(
          () => undefined,
          (reason: unknown) => reason,
        )
        const asPromised = error === undefined || isSluiceError(error, 'corrupt')
        expect(asPromised, `SLUICE_TEST_SEED=${seed} round ${round}: ${String(error)}`).toBe(true)
      }
    },
  )
}
