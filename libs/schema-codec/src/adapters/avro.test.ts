import { expect, it } from 'vitest'
import { avroType } from './avro.ts'
import { sharedType } from './shared-types.ts'

/** As the row of a change: each field may be null, and has a name of its own beside Avro's. */
const rowSchema = (names: readonly string[]): object => ({
  type: 'record',
  name: 'Row',
  fields: names.map((sluiceName, i) => ({ name: `f${i}`, sluiceName, type: ['null', 'string'] })),
})

it('reads and writes a row of many columns by functions of few, whatever the columns are called', () => {
  const names = [...Array.from({ length: 300 }, (_, i) => `c${i}`), '__proto__', 'constructor', 'toString']
  const type = avroType(rowSchema(names))
  const row = Object.fromEntries(names.map(name => [name, `the value of ${name}`]))
  const buffer = Buffer.alloc(100_000)
  const end = type.encode(row, buffer, 0)
  const { value, offset } = type.decode(buffer, 0)
  expect(offset).toBe(end)
  expect(value).toStrictEqual(row)
  expect(Object.keys(value as object)).toEqual(names)
  for (const code of [type._read, type._write]) expect(String(code).length).toBeLessThan(8_000)
})

it('is made once for a schema that is written and read, and anew for another', () => {
  const type = sharedType(rowSchema(['id', 'name']))
  expect(sharedType(rowSchema(['id', 'name']))).toBe(type)
  expect(sharedType(rowSchema(['id', 'city']))).not.toBe(type)
})
