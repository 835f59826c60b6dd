import { expect, it } from 'vitest'
import { changeSchema, SCHEMAS } from '@sluice/contracts/avro/schemas'
import type { Column, ColumnType, Row } from '@sluice/contracts/values'
import { change, ID_COLUMN, type Fixture } from './fixture.ts'
import { Random, randomColumns, randomRow } from './random-rows.ts'
import { RECORD_SAMPLES } from './record-samples.ts'

export function recordContract(fixture: Fixture): void {
  it('writes the Confluent wire format: a zero byte, the schema id in four bytes, the Avro binary', async () => {
    const encoder = await fixture
      .open()
      .encoder(fixture.subject(), SCHEMAS.Captured, { signal: fixture.signal })
    const bytes = Buffer.from(encoder.encode({ incarnation: 'ab', owner: -1, run: 1, seq: 64, values: '{}' }))
    expect(bytes.readUInt8(0)).toBe(0)
    expect(bytes.readUInt32BE(1)).toBe(encoder.schemaId)
    expect(bytes.subarray(5).toString('hex')).toBe('046162' + '01' + '02' + '8001' + '047b7d')
  })

  it('gives back records of every kind as they were, in order, with the names of their schemas', async () => {
    const codec = fixture.open()
    const kinds = Object.entries({ ...SCHEMAS, Change: changeSchema([ID_COLUMN]) })
    const bytes: Uint8Array[] = []
    for (const [kind, schema] of kinds) bytes.push(...(await fixture.encoded(codec, schema, [sample(kind)])))
    const decoded = await fixture.open().decode([...bytes, ...bytes], { signal: fixture.signal })
    expect(decoded.map(({ name }) => name)).toEqual([...kinds, ...kinds].map(([kind]) => `sluice.${kind}`))
    expect(decoded.map(({ value }) => value)).toStrictEqual(
      [...kinds, ...kinds].map(([kind]) => sample(kind)),
    )
    expect(decoded.every(({ value }) => Object.getPrototypeOf(value) === Object.prototype)).toBe(true)
  })

  it(
    'gives back random rows of all types exactly, with their columns in order',
    { timeout: 60_000 },
    async () => {
      const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)
      for (let round = 0; round < 20; round++) {
        const random = new Random(seed + round)
        const columns = randomColumns(random)
        const rows = Array.from({ length: 20 }, () => randomRow(columns, random))
        const changes = rows.map((row, i) => change(row, { before: rows[i - 1] ?? null }))
        const decoded = await fixture.roundTrip(changeSchema(columns), changes)
        expect(decoded, `SLUICE_TEST_SEED=${seed}`).toEqual(changes)
        const names = decoded.map(value => Object.keys(part(value, 'after')))
        expect(names, `SLUICE_TEST_SEED=${seed}`).toEqual(rows.map(row => Object.keys(row)))
      }
    },
  )

  it('takes names that mean something to JavaScript as names of columns only', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'valueOf', 'id']
    const columns = names.map((name): Column => ({ name, type: { kind: 'text' } }))
    const row = Object.fromEntries(names.map(name => [name, `value of ${name}`]))
    const [decoded] = await fixture.roundTrip(changeSchema(columns), [change(row)])
    const after = part(decoded, 'after')
    expect(Object.entries(after)).toEqual(names.map(name => [name, `value of ${name}`]))
    expect(Object.getPrototypeOf(after)).toBe(Object.prototype)
  })

  it('takes names that mean something to JavaScript as names of headers only', async () => {
    const headers = Object.fromEntries([
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['x', 'c'],
    ])
    const [decoded] = await fixture.roundTrip(SCHEMAS.Request, [{ ...RECORD_SAMPLES.Request, headers }])
    expect(Object.entries(part(decoded, 'headers'))).toEqual(Object.entries(headers))
  })

  it('gives back text of all lengths in bytes of UTF-8, with U+FFFD for lone surrogates', async () => {
    const lengths = [0, 1, 12, 13, 39, 40, 41, 63, 64, 65, 2729, 2730, 2731, 4095, 4096, 8191, 8192]
    const texts = ['a', 'é', '€', '😀', '\ud800', 'a\udc00'].flatMap(part =>
      lengths.map(length => part.repeat(length)),
    )
    const rows = texts.map((value): Row => ({ value, next: 1 }))
    const columns: readonly Column[] = [
      { name: 'value', type: { kind: 'text' } },
      { name: 'next', type: { kind: 'integer' } },
    ]
    const decoded = await fixture.roundTrip(
      changeSchema(columns),
      rows.map(row => change(row)),
    )
    const read = decoded.map(value => part(value, 'after'))
    expect(read).toEqual(texts.map(text => ({ value: text.toWellFormed(), next: 1 })))
  })

  it('writes null for a column that a row does not have', async () => {
    const columns: readonly Column[] = [ID_COLUMN, { name: 'city', type: { kind: 'text' } }]
    const [decoded] = await fixture.roundTrip(changeSchema(columns), [change({ id: 1 })])
    expect(decoded).toMatchObject({ after: { id: 1, city: null } })
  })

  it('keeps nothing of the buffers that it was given, and hands out buffers that stay as they are', async () => {
    const codec = fixture.open()
    const columns: readonly Column[] = [{ name: 'data', type: { kind: 'bytes' } }]
    const data = new Uint8Array([1, 2, 3])
    const encoder = await codec.encoder(fixture.subject(), changeSchema(columns), { signal: fixture.signal })
    const first = encoder.encode(change({ data }))
    const copy = first.slice()
    data.fill(9)
    for (let i = 0; i < 1000; i++) encoder.encode(change({ data: new Uint8Array(i) }))
    expect(Buffer.compare(first, copy)).toBe(0)
    const [decoded] = await codec.decode([first], { signal: fixture.signal })
    first.fill(9)
    expect(decoded?.value).toMatchObject({ after: { data: new Uint8Array([1, 2, 3]) } })
  })

  it('encodes records of many megabytes', async () => {
    const body = new Uint8Array(20_000_000).fill(7)
    const path = `/${'é'.repeat(1_500_000)}`
    const [decoded] = await fixture.roundTrip(SCHEMAS.Request, [{ ...RECORD_SAMPLES.Request, body, path }])
    expect(decoded).toMatchObject({ path })
    const read = part(decoded, 'body')
    expect(read instanceof Uint8Array && Buffer.compare(read, body)).toBe(0)
  })

  it('says which field does not fit, what it has to be and what it is', async () => {
    const struct: ColumnType = { kind: 'struct', fields: [{ name: 'when', type: { kind: 'date' } }] }
    const columns: readonly Column[] = [{ name: 'visits', type: { kind: 'list', of: struct } }]
    const encoder = await fixture
      .open()
      .encoder(fixture.subject(), changeSchema(columns), { signal: fixture.signal })
    const wrong = change({ visits: [null, { when: '2024-02-30' }] })
    expect(() => encoder.encode(wrong)).toThrow(
      expect.objectContaining({
        code: 'corrupt',
        message: expect.stringContaining(
          'field after.visits.1.when: expected date, found "2024-02-30" (string)',
        ),
      }),
    )
    expect(() => encoder.encode({ ...change(null), seq: undefined })).toThrow(
      /field seq: expected long, found nothing/,
    )
    expect(() => encoder.encode({ ...change(null), op: 'moved' })).toThrow(/field op: .*found "moved"/)
    expect(() => encoder.encode({ ...change(null), seq: 2 ** 53 })).toThrow(/field seq/)
    const fitting = encoder.encode(change({ visits: [] })) // A failure leaves nothing behind.
    expect(fitting.byteLength).toBeGreaterThan(5)
  })

  it('tells records apart by name', async () => {
    const codec = fixture.open()
    const bytes = await fixture.encoded(codec, SCHEMAS.Captured, [RECORD_SAMPLES.Captured])
    const [decoded] = await codec.decode(bytes, { signal: fixture.signal })
    expect(decoded).toMatchObject({
      name: 'sluice.Captured',
      value: { values: RECORD_SAMPLES.Captured.values },
    })
  })
}

/** The object in a property of a decoded record. */
function part(value: object | undefined, name: string): object {
  const found: unknown = new Map<string, unknown>(Object.entries(value ?? {})).get(name)
  return typeof found === 'object' && found !== null ? found : {}
}

function sample(kind: string): object {
  const samples = new Map<string, object>(Object.entries(RECORD_SAMPLES))
  return samples.get(kind) ?? {}
}
