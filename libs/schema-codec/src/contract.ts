/**
 * The promises of `port.ts` as a suite that every adapter passes:
 *
 *     schemaCodecContract('sqlite', async () => ({ open, close }))
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { changeSchema, isRecord, SCHEMAS, type AvroRecordSchema } from '@sluice/contracts/avro-schemas'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Change } from '@sluice/contracts/records'
import type { Column, ColumnType, Row } from '@sluice/contracts/values'
import type { SchemaCodec } from './port.ts'
import { Random, randomColumns, randomRow } from './random-rows.ts'
import { RECORD_SAMPLES } from './record-samples.ts'

export interface SchemaCodecHarness {
  /** A codec that knows nothing yet, over the same schemas as those opened before: as another process has it. */
  open(): SchemaCodec
  close(): Promise<void>
}

/** Registers the suite under `name`. `start` is called once, before the first test; the harness is closed after the last. */
export function schemaCodecContract(name: string, start: () => Promise<SchemaCodecHarness>): void {
  describe(`schema codec: ${name}`, () => {
    const fixture = new Fixture(start)
    fixture.register()
    describe('records', () => recordContract(fixture))
    describe('bytes that are no record', () => corruptContract(fixture))
    describe('schemas', () => schemaContract(fixture))
    describe('compatibility', () => compatibilityContract(fixture))
    describe('aborts', () => abortContract(fixture))
  })
}

class Fixture {
  readonly #start: () => Promise<SchemaCodecHarness>
  readonly #codecs: SchemaCodec[] = []
  #harness: SchemaCodecHarness | undefined
  #subjects = 0
  readonly signal = new AbortController().signal

  constructor(start: () => Promise<SchemaCodecHarness>) {
    this.#start = start
  }

  register(): void {
    beforeAll(async () => {
      this.#harness = await this.#start()
    })
    afterEach(async () => {
      for (const codec of this.#codecs.splice(0)) await codec[Symbol.asyncDispose]()
    })
    afterAll(() => this.#harness?.close())
  }

  open(): SchemaCodec {
    if (this.#harness === undefined) throw new Error('the harness did not start')
    const codec = this.#harness.open()
    this.#codecs.push(codec)
    return codec
  }

  subject(): string {
    this.#subjects += 1
    return `contract.${Date.now().toString(36)}.${this.#subjects}.Change`
  }

  async encoded(
    codec: SchemaCodec,
    schema: AvroRecordSchema,
    values: readonly object[],
  ): Promise<Uint8Array[]> {
    const encoder = await codec.encoder(this.subject(), schema, { signal: this.signal })
    return values.map(value => encoder.encode(value))
  }

  async roundTrip(schema: AvroRecordSchema, values: readonly object[]): Promise<readonly object[]> {
    const bytes = await this.encoded(this.open(), schema, values)
    const decoded = await this.open().decode(bytes, { signal: this.signal })
    return decoded.map(({ value }) => value)
  }
}

const ID_COLUMN: Column = { name: 'id', type: { kind: 'long' } }

function change(after: Row | null, more: Partial<Change> = {}): Change {
  return { ...RECORD_SAMPLES.Change, before: null, after, ...more }
}

function recordContract(fixture: Fixture): void {
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
        const names = decoded.map(value => Object.keys('after' in value ? Object(value.after) : {}))
        expect(names, `SLUICE_TEST_SEED=${seed}`).toEqual(rows.map(row => Object.keys(row)))
      }
    },
  )

  it('takes names that mean something to JavaScript as names of columns only', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'valueOf', 'id']
    const columns = names.map((name): Column => ({ name, type: { kind: 'text' } }))
    const row = Object.fromEntries(names.map(name => [name, `value of ${name}`]))
    const [decoded] = await fixture.roundTrip(changeSchema(columns), [change(row)])
    const after = decoded !== undefined && 'after' in decoded ? Object(decoded.after) : {}
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
    const read = decoded !== undefined && 'headers' in decoded ? Object(decoded.headers) : {}
    expect(Object.entries(read)).toEqual(Object.entries(headers))
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
    expect(
      decoded !== undefined && 'body' in decoded && Buffer.compare(Buffer.from(body), Object(decoded.body)),
    ).toBe(0)
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
    if (decoded === undefined || !isRecord(decoded, 'Captured')) throw new Error('it is no Captured')
    expect(decoded.value.values).toBe(RECORD_SAMPLES.Captured.values)
    expect(isRecord(decoded, 'Change')).toBe(false)
  })
}

function sample(kind: string): object {
  return Object.entries(RECORD_SAMPLES).find(([name]) => name === kind)?.[1] ?? {}
}

function corruptContract(fixture: Fixture): void {
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

function schemaContract(fixture: Fixture): void {
  const { signal } = fixture

  it('gives the same id for the same schema under a subject, to whoever asks', async () => {
    const subject = fixture.subject()
    const schema = changeSchema([ID_COLUMN])
    const first = await fixture.open().encoder(subject, schema, { signal })
    const second = await fixture.open().encoder(subject, structuredClone(schema), { signal })
    expect(second.schemaId).toBe(first.schemaId)
  })

  it('gives one id to many who ask at the same time', async () => {
    const subject = fixture.subject()
    const schema = changeSchema([ID_COLUMN])
    const codecs = [fixture.open(), fixture.open(), fixture.open()]
    const asked = Array.from({ length: 30 }, (_, i) =>
      codecs[i % codecs.length]?.encoder(subject, schema, { signal }),
    )
    const ids = new Set((await Promise.all(asked)).map(encoder => encoder?.schemaId))
    expect(ids.size).toBe(1)
  })

  it('decodes what others have written, for many who ask at the same time', async () => {
    const bytes = await fixture.encoded(fixture.open(), SCHEMAS.Captured, [RECORD_SAMPLES.Captured])
    const reader = fixture.open()
    const all = await Promise.all(Array.from({ length: 30 }, () => reader.decode(bytes, { signal })))
    expect(all.every(([decoded]) => decoded?.name === 'sluice.Captured')).toBe(true)
  })

  it('decodes each record with the schema that it was written with: a field that came later is missing', async () => {
    const subject = fixture.subject()
    const codec = fixture.open()
    const older = await codec.encoder(subject, changeSchema([ID_COLUMN]), { signal })
    const columns: readonly Column[] = [{ name: 'city', type: { kind: 'text' } }, ID_COLUMN]
    const newer = await codec.encoder(subject, changeSchema(columns), { signal })
    expect(newer.schemaId).not.toBe(older.schemaId)
    const bytes = [
      older.encode(change({ id: 1 })),
      newer.encode(change({ city: 'Rome', id: 2 })),
      older.encode(change({ id: 3 })),
    ]
    const decoded = await fixture.open().decode(bytes, { signal })
    const rows = decoded.map(({ value }) => ('after' in value ? value.after : undefined))
    expect(rows).toStrictEqual([{ id: 1 }, { city: 'Rome', id: 2 }, { id: 3 }])
  })

  it('keeps differences that Avro itself has no word for', async () => {
    const subject = fixture.subject()
    const codec = fixture.open()
    const text = await codec.encoder(subject, changeSchema([{ name: 'x', type: { kind: 'text' } }]), {
      signal,
    })
    const json = await codec.encoder(subject, changeSchema([{ name: 'x', type: { kind: 'json' } }]), {
      signal,
    })
    expect(json.schemaId).not.toBe(text.schemaId)
  })

  it('refuses a model with two columns of one name', () => {
    expect(() => changeSchema([ID_COLUMN, ID_COLUMN])).toThrow(SluiceError)
  })
}

/** What became of a column, and whether readers can follow. */
const STEPS: readonly (readonly [ColumnType, ColumnType, boolean])[] = [
  [{ kind: 'text' }, { kind: 'integer' }, false],
  [{ kind: 'integer' }, { kind: 'text' }, false],
  [{ kind: 'integer' }, { kind: 'long' }, true],
  [{ kind: 'long' }, { kind: 'integer' }, false],
  [{ kind: 'integer' }, { kind: 'double' }, true],
  [{ kind: 'long' }, { kind: 'float' }, true],
  [{ kind: 'float' }, { kind: 'double' }, true],
  [{ kind: 'double' }, { kind: 'float' }, false],
  [{ kind: 'boolean' }, { kind: 'integer' }, false],
  [{ kind: 'text' }, { kind: 'bytes' }, true],
  [{ kind: 'text' }, { kind: 'json' }, true],
  [{ kind: 'uuid' }, { kind: 'text' }, true],
  [{ kind: 'text' }, { kind: 'uuid' }, false],
  [{ kind: 'integer' }, { kind: 'date' }, false],
  [{ kind: 'date' }, { kind: 'integer' }, false],
  [{ kind: 'long' }, { kind: 'timestamp', zone: false }, false],
  [{ kind: 'timestamp', zone: false }, { kind: 'timestamp', zone: true }, false],
  [{ kind: 'date' }, { kind: 'text' }, false],
  [{ kind: 'decimal', precision: 10, scale: 2 }, { kind: 'decimal', precision: 12, scale: 2 }, true],
  [{ kind: 'decimal', precision: 10, scale: 2 }, { kind: 'decimal', precision: 10, scale: 3 }, false],
  [{ kind: 'decimal', precision: 10, scale: 2 }, { kind: 'bytes' }, false],
  [{ kind: 'list', of: { kind: 'integer' } }, { kind: 'list', of: { kind: 'long' } }, true],
  [{ kind: 'list', of: { kind: 'text' } }, { kind: 'list', of: { kind: 'boolean' } }, false],
  [{ kind: 'list', of: { kind: 'text' } }, { kind: 'text' }, false],
  [{ kind: 'struct', fields: [ID_COLUMN] }, { kind: 'text' }, false],
  [
    { kind: 'struct', fields: [ID_COLUMN] },
    { kind: 'struct', fields: [{ name: 'a', type: { kind: 'text' } }] },
    true,
  ],
  [
    { kind: 'struct', fields: [ID_COLUMN] },
    { kind: 'struct', fields: [{ ...ID_COLUMN, type: { kind: 'text' } }] },
    false,
  ],
]

function compatibilityContract(fixture: Fixture): void {
  const { signal } = fixture

  async function accepted(subject: string, columns: readonly Column[]): Promise<boolean> {
    const answer = fixture.open().encoder(subject, changeSchema(columns), { signal })
    return answer.then(
      () => true,
      (error: unknown) => {
        if (isSluiceError(error, 'schema-incompatible')) return false
        throw error
      },
    )
  }

  it.each(STEPS)('a column of %j that becomes %j: accepted is %s', async (was, becomes, follows) => {
    const subject = fixture.subject()
    const column = (type: ColumnType): readonly Column[] => [ID_COLUMN, { name: 'Ändert sich', type }]
    expect(await accepted(subject, column(was))).toBe(true)
    expect(await accepted(subject, column(becomes))).toBe(follows)
    expect(await accepted(subject, column(was))).toBe(true)
  })

  it('accepts columns that come, go, are renamed or change places', async () => {
    const subject = fixture.subject()
    const other: Column = { name: 'other', type: { kind: 'text' } }
    for (const columns of [[ID_COLUMN], [ID_COLUMN, other], [other, ID_COLUMN], [other], [ID_COLUMN]]) {
      expect(await accepted(subject, columns)).toBe(true)
    }
  })

  it('names subject, column, old and new type and the way out, and publishes nothing', async () => {
    const subject = fixture.subject()
    const codec = fixture.open()
    const columns = (type: ColumnType): readonly Column[] => [ID_COLUMN, { name: 'birth day', type }]
    await codec.encoder(subject, changeSchema(columns({ kind: 'text' })), { signal })
    const refused = codec.encoder(subject, changeSchema(columns({ kind: 'timestamp', zone: true })), {
      signal,
    })
    await expect(refused).rejects.toMatchObject({ code: 'schema-incompatible', retryable: false })
    const message = await refused.catch((error: unknown) => String(error))
    expect(message).toContain(subject)
    expect(message).toContain('column birth day was text and is now timestamp with time zone')
    expect(message).toContain('sluice reset')
    // What was refused has left no trace: its opposite is accepted, though it could not follow it.
    expect(await accepted(subject, columns({ kind: 'json' }))).toBe(true)
  })

  it('does not compare with the schemas of other subjects', async () => {
    expect(await accepted(fixture.subject(), [{ name: 'x', type: { kind: 'text' } }])).toBe(true)
    expect(await accepted(fixture.subject(), [{ name: 'x', type: { kind: 'integer' } }])).toBe(true)
  })
}

function abortContract(fixture: Fixture): void {
  const reason = new Error('enough')

  it('ends a wait with the reason of the signal, and leaves others at work', async () => {
    const codec = fixture.open()
    const subject = fixture.subject()
    const controller = new AbortController()
    const stopped = codec.encoder(subject, SCHEMAS.Marker, { signal: controller.signal })
    const other = codec.encoder(subject, SCHEMAS.Marker, { signal: fixture.signal })
    controller.abort(reason)
    await expect(stopped).rejects.toBe(reason)
    expect((await other).schemaId).toBeGreaterThan(0)
  })

  it('does nothing for a signal that is aborted already', async () => {
    const codec = fixture.open()
    const signal = AbortSignal.abort(reason)
    await expect(codec.encoder(fixture.subject(), SCHEMAS.Marker, { signal })).rejects.toBe(reason)
    await expect(codec.decode([], { signal })).rejects.toBe(reason)
  })

  it('asks nobody once it is closed', async () => {
    const codec = fixture.open()
    await codec[Symbol.asyncDispose]()
    const { signal } = fixture
    await expect(codec.encoder(fixture.subject(), SCHEMAS.Marker, { signal })).rejects.toMatchObject({
      code: 'aborted',
    })
    const unknown = Buffer.from('0000ffffff00', 'hex')
    await expect(codec.decode([unknown], { signal })).rejects.toMatchObject({ code: 'aborted' })
  })
}
