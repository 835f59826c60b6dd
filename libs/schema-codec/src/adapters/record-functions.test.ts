import { expect, it } from 'vitest'
import { avroType, recordReadBy, type Attributes } from './avro.ts'
import { readerOfSome } from './record-functions.ts'

/** Columns of several types, one of them a list, which is read to be passed over. */
const TYPES = ['string', 'double', { type: 'array', items: ['null', 'string'] }, 'boolean', 'bytes']
const VALUES = ['a text', 1.5, ['one', null], true, Buffer.from([0, 255])]

/** Around the number of fields above which a record is read by a loop. */
it.each([3, 128, 129, 300])('reads some of %d fields, and skips the others', count => {
  const schema: Attributes = {
    type: 'record',
    name: 'Row',
    fields: Array.from({ length: count }, (_, i) => ({ name: `c${i}`, type: ['null', TYPES[i % 5]] })),
  }
  const row = Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`c${i}`, i % 7 === 6 ? null : VALUES[i % 5]]),
  )
  const buffer = Buffer.alloc(100_000)
  avroType(schema).encode(row, buffer, 0)
  for (const wanted of [[], [0], [count - 1], [1, 2, Math.floor(count / 2)], [...Array(count).keys()]]) {
    const names = new Set(wanted.map(i => `c${i}`))
    const type = recordReadBy(
      properties => readerOfSome(properties, ({ name }) => names.has(name)),
      schema,
      {},
    )
    const expected = Object.entries(row).filter(([name]) => names.has(name))
    expect(type.decode(buffer, 0).value).toEqual(Object.fromEntries(expected))
  }
})
