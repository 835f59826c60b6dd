/** Records and schemas of strangers, which want the time or the memory of this process. */
import { describe, expect, it } from 'vitest'
import { processorMs } from '@sluice/testkit/processor-ms'
import { askedOf } from '../../test/asked-registry.ts'
import { type ForeignSchema, readForeign } from './foreign-schemas.ts'

type Avro = ForeignSchema & { readonly kind: 'avro' }

async function schemaOf(schema: unknown): Promise<Avro> {
  const found = await askedOf(response => response.end(JSON.stringify({ schema: JSON.stringify(schema) })))
  if (found.kind !== 'avro') throw new Error('no Avro')
  return found
}

const framed = (...bytes: readonly number[]): Buffer => Buffer.from([0, 0, 0, 0, 1, ...bytes])
/** A record of records of records, each twice, which takes no bytes. */
const doubled = (levels: number): object => ({
  ...{ type: 'record', name: `R${levels}` },
  fields:
    levels === 0
      ? [{ name: 'a', type: 'null' }]
      : [
          { name: 'a', type: doubled(levels - 1) },
          { name: 'b', type: `R${levels - 1}` },
        ],
})
/** 2^40 items. */
const VERY_MANY = [0x80, 0x80, 0x80, 0x80, 0x80, 0x40]

describe('a record of a stranger', () => {
  it.each([
    ['records that refer to each other', doubled(40), []],
    ['a list of nothing', { type: 'array', items: 'null' }, [...VERY_MANY, 0]],
    ['a list that ends too early', { type: 'array', items: 'int' }, VERY_MANY],
    ['a map that ends too early', { type: 'map', values: 'null' }, VERY_MANY],
  ])('is refused for %s', async (_, schema, bytes) => {
    const type = await schemaOf(schema)
    const took = await processorMs(() =>
      expect(() => readForeign(type, framed(...bytes))).toThrow('more values than its bytes'),
    )
    expect(took).toBeLessThan(500)
  })

  it('has its lists, maps and records', async () => {
    const fields = [
      { name: 'list', type: { type: 'array', items: ['null', 'long'] } },
      { name: 'map', type: { type: 'map', values: 'int' } },
      {
        name: 'same',
        type: ['null', { type: 'record', name: 'Inner', fields: [{ name: 'x', type: 'int' }] }],
      },
    ]
    const schema = await schemaOf({ type: 'record', name: 'Row', fields })
    const bytes = framed(4, 0, 2, 6, 0, 1, 6, 2, 0x61, 4, 0, 2, 10)
    expect(JSON.parse(JSON.stringify(readForeign(schema, bytes)))).toEqual({
      ...{ list: [null, 3], map: { a: 2 }, same: { x: 5 } },
    })
  })
})
