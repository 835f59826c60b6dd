import { expect, it } from 'vitest'
import { avroType, sharedType } from './avro.ts'
import type { AvscType } from './avsc.ts'

/** As the row of a change: each field may be null, and has a name of its own beside Avro's. */
const rowSchema = (names: readonly string[]): object => ({
  type: 'record',
  name: 'Row',
  fields: names.map((sluiceName, i) => ({ name: `f${i}`, sluiceName, type: ['null', 'string'] })),
})

/** Around the number of fields above which a record is read and written by a loop. */
const COUNTS = [1, 2, 127, 128, 129, 300]
const bytesOf = (type: AvscType, value: unknown): Buffer => {
  const buffer = Buffer.alloc(100_000)
  return buffer.subarray(0, type.encode(value, buffer, 0))
}
const namesOf = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `c${i}`)

it.each(COUNTS)('reads and writes a row of %d columns, whatever they are called', count => {
  const names = [...namesOf(count), '__proto__', 'constructor', 'toString'].slice(-count)
  const type = avroType(rowSchema(names))
  const row = Object.fromEntries(names.map((name, i) => [name, i % 5 === 4 ? null : `the value of ${name}`]))
  const bytes = bytesOf(type, row)
  const { value, offset } = type.decode(bytes, 0)
  expect(offset).toBe(bytes.length)
  expect(value).toStrictEqual(row)
  expect(Object.keys(value as object)).toEqual(names)
})

it.each(COUNTS)(
  'writes a column that a row of %d does not name as null, and nothing else than a row',
  count => {
    const names = namesOf(count)
    const type = avroType(rowSchema(names))
    const { value } = type.decode(bytesOf(type, { c0: 'here' }), 0)
    expect(value).toStrictEqual(Object.fromEntries(names.map(name => [name, name === 'c0' ? 'here' : null])))
    for (const nothing of [null, undefined, 'text', 7]) expect(() => bytesOf(type, nothing)).toThrow()
  },
)

it.each(COUNTS)('takes no branch of a union in a row of %d columns that the union does not have', count => {
  const type = avroType(rowSchema(namesOf(count)))
  const bytes = bytesOf(type, {})
  bytes[count - 1] = 4
  expect(() => type.decode(bytes, 0)).toThrow()
})

it('has no code of its own for each of many columns, since V8 would take hundreds of MB to optimize it', () => {
  const type = avroType(rowSchema(Array.from({ length: 1_000 }, (_, i) => `c${i}`)))
  for (const code of [type._read, type._write]) expect(String(code).length).toBeLessThan(1_000)
})

it('is made once for a schema that is written and read, and anew for another', () => {
  const type = sharedType(rowSchema(['id', 'name']))
  expect(sharedType(rowSchema(['id', 'name']))).toBe(type)
  expect(sharedType(rowSchema(['id', 'city']))).not.toBe(type)
})
