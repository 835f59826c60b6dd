import { expect, it } from 'vitest'
import { changeSchema, SCHEMAS } from '@sluice/contracts/avro/schemas'
import type { AvroRecordSchema, AvroSchema } from '@sluice/contracts/avro/types'
import { isSluiceError } from '@sluice/contracts/errors'
import { change, type Fixture } from './fixture.ts'
import { Random, randomColumns, randomRow } from './random-rows.ts'
import { RECORD_SAMPLES } from './record-samples.ts'

const text = { type: 'string' } as const

/** Schemas of other programs, each named as a record of Sluice and with a value of its own. */
const IMPOSTORS: readonly (readonly [string, AvroRecordSchema, object])[] = [
  ['lacks its fields', ofFields([{ name: 'sync', type: 'string' }]), { sync: 's' }],
  ['has another type in a field', changed('run', 'string'), { ...RECORD_SAMPLES.PartitionReport, run: '1' }],
  [
    'has a field under another name',
    changed('run', 'long', 'walk'),
    { ...RECORD_SAMPLES.PartitionReport, walk: 1 },
  ],
  [
    'has two fields of one name',
    ofFields([...SCHEMAS.PartitionReport.fields, { name: 'more', sluiceName: 'run', type: 'long' }]),
    RECORD_SAMPLES.PartitionReport,
  ],
]

function ofFields(fields: AvroRecordSchema['fields']): AvroRecordSchema {
  return { ...SCHEMAS.PartitionReport, fields }
}

function changed(field: string, type: AvroSchema, sluiceName = field): AvroRecordSchema {
  const others = SCHEMAS.PartitionReport.fields
  return ofFields(others.map(each => (each.name === field ? { ...each, type, sluiceName } : each)))
}

function ofOne(type: AvroSchema): AvroRecordSchema {
  return { type: 'record', name: 'Held', namespace: 'test', fields: [{ name: 'value', type }] }
}

/** A record of that schema whose bytes are others. */
async function forged(fixture: Fixture, schema: AvroRecordSchema, bytes: readonly number[]): Promise<Buffer> {
  const encoder = await fixture.open().encoder(fixture.subject(), schema, { signal: fixture.signal })
  const head = Buffer.alloc(5)
  head.writeUInt32BE(encoder.schemaId, 1)
  return Buffer.concat([head, Buffer.from(bytes)])
}

/** 2^40 as Avro writes it. */
const A_TRILLION = [0x80, 0x80, 0x80, 0x80, 0x80, 0x40]

function boundsContract(fixture: Fixture, decodeAll: (values: readonly Uint8Array[]) => Promise<void>): void {
  it.each(IMPOSTORS)('refuses a record as corrupt whose schema %s', async (_, schema, value) => {
    const codec = fixture.open()
    const encoder = await codec.encoder(fixture.subject(), schema, {
      signal: fixture.signal,
      compatibility: 'none',
    })
    await expect(decodeAll([encoder.encode(value)])).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('not Sluice'),
    })
  })

  it('takes a record of an earlier version, which lacks a field, and of a later one', async () => {
    const lacks = SCHEMAS.RunEvent.fields.find(
      ({ name, type }) => Array.isArray(type) && name !== 'sync',
    )?.name
    const earlier = {
      ...SCHEMAS.RunEvent,
      fields: SCHEMAS.RunEvent.fields.filter(({ name }) => name !== lacks),
    }
    const later = { ...SCHEMAS.RunEvent, fields: [...SCHEMAS.RunEvent.fields, { name: 'later', type: text }] }
    for (const schema of [earlier, later]) {
      const codec = fixture.open()
      const encoder = await codec.encoder(fixture.subject(), schema, { signal: fixture.signal })
      await decodeAll([encoder.encode({ ...RECORD_SAMPLES.RunEvent, later: 'x' })])
    }
  })

  it.each<[string, AvroSchema, readonly number[]]>([
    ['a list of a trillion nulls', { type: 'array', items: 'null' }, A_TRILLION],
    ['a list of a trillion booleans', { type: 'array', items: 'boolean' }, A_TRILLION],
    ['a block of a negative count', { type: 'array', items: 'null' }, [0xff, 0xff, 0xff, 0x7f, 0]],
    ['a map of a trillion nulls', { type: 'map', values: 'null' }, A_TRILLION],
    ['text of a negative length', 'string', [0x01]],
    ['text of a trillion bytes', 'string', A_TRILLION],
    ['bytes of a trillion bytes', 'bytes', A_TRILLION],
    [
      'an instant that no date has',
      { type: 'long', logicalType: 'timestamp-millis' },
      [0x80, 0x80, 0xd4, 0xaf, 0xf9, 0xdc, 0xfc, 0x1f],
    ],
    ['a number of eleven bytes', 'long', Array.from({ length: 11 }, () => 0xff)],
    [
      'a list within a list, without end',
      {
        type: 'array',
        items: {
          type: 'record',
          name: 'Self',
          fields: [{ name: 'self', type: { type: 'array', items: 'Self' } }],
        },
      },
      Array.from({ length: 100_000 }, () => 2),
    ],
  ])('refuses %s at once, and takes no memory for it', async (_, type, bytes) => {
    const record = await forged(fixture, ofOne(type), bytes)
    const before = process.memoryUsage().heapUsed
    await expect(decodeAll([record])).rejects.toMatchObject({ code: 'corrupt' })
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(50_000_000)
  })

  it('reads `__proto__` in a map as a name, and nothing else', async () => {
    const codec = fixture.open()
    const schema = ofOne({ type: 'map', values: 'string' })
    const value = Object.fromEntries([['__proto__', 'x']])
    const [record] = await fixture.encoded(codec, schema, [{ value }])
    const [decoded] = await codec.decode([record ?? new Uint8Array()], { signal: fixture.signal })
    expect(JSON.stringify(decoded?.value)).toBe('{"value":{"__proto__":"x"}}')
    expect(Object.prototype).not.toHaveProperty('x')
  })
}

export function corruptContract(fixture: Fixture): void {
  async function decodeAll(values: readonly Uint8Array[]): Promise<void> {
    await fixture.open().decode(values, { signal: fixture.signal })
  }

  boundsContract(fixture, decodeAll)

  it.each([
    ['nothing', ''],
    ['ten zero bytes', '00000000000000000000'],
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

  damagedContract(fixture, 3_000)
}

/** Damages records and reads them. A failure names its seed. */
export function damagedContract(fixture: Fixture, rounds: number): void {
  it(
    'reads damaged bytes as a record or as corrupt, and neither hangs nor fails otherwise',
    { timeout: 600_000 },
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
      for (let round = 0; round < rounds; round++) {
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
