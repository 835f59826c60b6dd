import { expect, it } from 'vitest'
import { changeSchema } from '@sluice/contracts/avro/schemas'
import { EncodedRow, type RowCursor } from '@sluice/contracts/avro/encoded-row'
import { isSluiceError } from '@sluice/contracts/errors'
import { JsonText, type Row, type Value } from '@sluice/contracts/values'
import { change, type Fixture } from './fixture.ts'
import { Random, randomColumns, randomRow } from './random-rows.ts'

export function encodedRowContract(fixture: Fixture): void {
  it('leaves the rows of changes encoded, and gives any columns of them as decoded rows have them', async () => {
    const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)
    for (let round = 0; round < 10; round++) {
      const random = new Random(seed + round)
      const columns = randomColumns(random)
      const rows = Array.from({ length: 20 }, () => withNulls(randomRow(columns, random), random))
      const changes = rows.map((row, i) => change(row, { before: rows[i - 1] ?? null }))
      const names = columns.map(({ name }) => name)
      const some = new Set([...names.filter(() => random.below(3) === 0), 'not there'])
      const cursors = new Map<unknown, RowCursor>()
      const read = await decodedKeepingRows(fixture, changeSchema(columns), changes)
      read.forEach((each, i) => {
        const note = `SLUICE_TEST_SEED=${seed + round}`
        expect({ ...each, before: null, after: null }, note).toEqual({
          ...changes[i],
          before: null,
          after: null,
        })
        const [before, after] = [encodedOf(each, 'before'), encodedOf(each, 'after')]
        expect(before?.values('all') ?? null, note).toEqual(rows[i - 1] ?? null)
        const row = rows[i] ?? {}
        expect(after?.values('all'), note).toEqual(row)
        const picked = after?.values(some) ?? {}
        expect(Object.entries(picked), note).toEqual(Object.entries(row).filter(([name]) => some.has(name)))
        if (after === null) throw new Error('a row is gone')
        const cursor = cursors.get(after.layout) ?? after.layout.cursor([...some])
        cursors.set(after.layout, cursor)
        cursor.open(after)
        const walked = [...some].map((name, number) => [name, valueAt(cursor, number, after)] as const)
        expect(walked, note).toEqual(
          [...some].map(name => [name, Object.hasOwn(row, name) ? row[name] : MISSING]),
        )
      })
      // All rows of a schema have one layout, so a cursor serves them all.
      expect(cursors.size).toBe(1)
    }
  })

  it(
    'reads damaged changes as changes or as corrupt where it leaves rows encoded',
    { timeout: 60_000 },
    async () => {
      const codec = fixture.open()
      const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)
      const random = new Random(seed)
      const columns = randomColumns(random)
      const rows = Array.from({ length: 20 }, () => change(randomRow(columns, random)))
      const records = await fixture.encoded(codec, changeSchema(columns), rows)
      for (let round = 0; round < 2_000; round++) {
        const damaged = Buffer.from(records[random.below(records.length)] ?? [])
        for (let i = 0; i <= random.below(4); i++)
          damaged[5 + random.below(damaged.length - 5)] = random.below(256)
        const error: unknown = await codec
          .decode([damaged], { signal: fixture.signal, rows: 'encoded' })
          .then(
            ([decoded]) => errorOf(() => encodedOf(decoded?.value ?? {}, 'after')?.values('all')),
            (reason: unknown) => reason,
          )
        const asPromised = error === null || isSluiceError(error, 'corrupt')
        expect(asPromised, `SLUICE_TEST_SEED=${seed} round ${round}: ${String(error)}`).toBe(true)
      }
    },
  )

  it('refuses a change that is cut in its rows, also where it leaves them encoded', async () => {
    const codec = fixture.open()
    const random = new Random(1)
    const columns = randomColumns(random)
    const [record] = await fixture.encoded(codec, changeSchema(columns), [change(randomRow(columns, random))])
    if (record === undefined) throw new Error('nothing was encoded')
    for (let length = 0; length < record.length; length++) {
      const cut = codec.decode([record.subarray(0, length)], { signal: fixture.signal, rows: 'encoded' })
      await expect(cut).rejects.toMatchObject({ code: 'corrupt' })
    }
  })
}

const MISSING = 'missing'

function errorOf(call: () => unknown): unknown {
  try {
    call()
    return null
  } catch (error) {
    return error
  }
}

function withNulls(row: Row, random: Random): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, random.below(5) === 0 ? null : value]),
  )
}

async function decodedKeepingRows(
  fixture: Fixture,
  schema: ReturnType<typeof changeSchema>,
  changes: readonly object[],
): Promise<readonly object[]> {
  const bytes = await fixture.encoded(fixture.open(), schema, changes)
  const decoded = await fixture.open().decode(bytes, { signal: fixture.signal, rows: 'encoded' })
  return decoded.map(({ value }) => value)
}

function encodedOf(of: object, name: string): EncodedRow | null {
  const row: unknown = Reflect.get(of, name)
  if (row !== null && row !== undefined && !(row instanceof EncodedRow)) throw new Error(`${name} is decoded`)
  return row ?? null
}

/** The value that a cursor shows, put together as its kind says. */
function valueAt(cursor: RowCursor, number: number, row: EncodedRow): Value {
  const kind = cursor.kindOf(number)
  switch (kind) {
    case 'missing':
      return MISSING
    case 'null':
      return null
    case 'text': {
      const start = cursor.textStart(number)
      return Buffer.from(row.bytes.subarray(start, cursor.textEnd)).toString('utf8')
    }
    case 'integer':
      return cursor.integer(number)
    case 'boolean':
      return cursor.integer(number) !== 0
    case 'scalar':
    case 'nested': {
      const value = cursor.value(number)
      const isNested =
        value instanceof JsonText || Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
      expect(kind).toBe(isNested ? 'nested' : 'scalar')
      return value
    }
  }
}
