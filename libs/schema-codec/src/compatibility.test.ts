import { describe, expect, it } from 'vitest'
import { changeSchema, SCHEMAS } from '@sluice/contracts/avro/schemas'
import type { AvroRecordSchema, AvroSchema } from '@sluice/contracts/avro/types'
import { typeForSchema } from './adapters/avsc.ts'
import { incompatibilities } from './compatibility.ts'
import { STEPS } from '../test/compatibility.ts'
import { Random, randomColumns } from '../test/random-rows.ts'

function holding(type: AvroSchema, more: object = {}): AvroRecordSchema {
  return { type: 'record', name: 'Held', namespace: 'test', fields: [{ name: 'value', type, ...more }] }
}

/** avsc's own answer. avsc does not know logical types. */
function avscReads(reader: AvroRecordSchema, writer: AvroRecordSchema): boolean {
  const readerType = typeForSchema(structuredClone(reader), () => undefined)
  try {
    readerType.createResolver(typeForSchema(structuredClone(writer), () => undefined))
    return true
  } catch {
    return false
  }
}

const enumeration = (...symbols: readonly string[]): AvroSchema => ({ type: 'enum', name: 'E', symbols })
const fixed = (size: number): AvroSchema => ({ type: 'fixed', name: 'F', size })
const PLAIN: readonly AvroSchema[] = [
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'string',
  'bytes',
  enumeration('A', 'B'),
  enumeration('A', 'B', 'C'),
  fixed(2),
  fixed(3),
  { type: 'array', items: 'int' },
  { type: 'array', items: 'long' },
  { type: 'map', values: 'int' },
  { type: 'map', values: 'string' },
  ['null', 'int'],
  ['null', 'long'],
  ['null', 'string'],
  ['int', 'string'],
  ['null', { type: 'record', name: 'R', fields: [{ name: 'a', type: 'int' }] }],
  ['null', { type: 'record', name: 'R', fields: [{ name: 'a', type: 'long' }] }],
  { type: 'record', name: 'R', fields: [{ name: 'b', type: 'int' }] },
]

describe('compatibility', () => {
  it('decides on every pair of plain types as avsc does', () => {
    for (const reader of PLAIN) {
      for (const writer of PLAIN) {
        const found = incompatibilities(holding(reader), holding(writer))
        const pair = `${JSON.stringify(writer)} read as ${JSON.stringify(reader)}`
        expect(found.length === 0, pair).toBe(avscReads(holding(reader), holding(writer)))
      }
    }
  })

  it('finds nothing between a schema and itself', () => {
    const random = new Random(7)
    const schemas = [
      ...Object.values(SCHEMAS),
      changeSchema(randomColumns(random)),
      changeSchema(randomColumns(random)),
    ]
    for (const schema of schemas) expect(incompatibilities(schema, schema)).toEqual([])
  })

  it('accepts nothing that avsc cannot read', () => {
    for (const [was, becomes, follows] of STEPS) {
      const [reader, writer] = [becomes, was].map(type => changeSchema([{ name: 'x', type }]))
      if (follows && reader !== undefined && writer !== undefined)
        expect(avscReads(reader, writer)).toBe(true)
    }
  })

  it('names each column once, by its own name, with the way to it inside structs', () => {
    const schema = (kind: 'text' | 'integer'): AvroRecordSchema =>
      changeSchema([
        { name: 'Straße', type: { kind } },
        { name: 'same', type: { kind: 'boolean' } },
        {
          name: 'address',
          type: { kind: 'list', of: { kind: 'struct', fields: [{ name: 'zip code', type: { kind } }] } },
        },
      ])
    expect(incompatibilities(schema('integer'), schema('text'))).toEqual([
      { path: 'Straße', was: 'text', becomes: 'integer' },
      { path: 'address.zip code', was: 'text', becomes: 'integer' },
    ])
  })

  it('lets a process of an earlier version read the reports of this one', () => {
    // Each further kind of wait makes all reports unreadable to it, also those that do not wait.
    const kinds =
      'queued,parked,approval,detector,renderer,delivery,takeover,secret,token,throttled,limit,breaker,limits_store,tries'
    const wait = JSON.stringify(SCHEMAS.PartitionReport).match(
      /"name":"WaitKind",[^}]*?"symbols":\[([^\]]*)\]/,
    )
    expect(wait?.[1]?.replaceAll('"', '')).toBe(kinds)
  })

  it('refuses a field without a default that was not written', () => {
    const empty: AvroRecordSchema = { type: 'record', name: 'Held', namespace: 'test', fields: [] }
    expect(incompatibilities(holding('int'), empty)).toEqual([
      { path: 'value', was: 'missing', becomes: 'int, without a default' },
    ])
    expect(incompatibilities(holding(['null', 'int'], { default: null }), empty)).toEqual([])
    expect(incompatibilities(empty, holding('int'))).toEqual([])
  })

  it('takes columns with names of JavaScript for columns', () => {
    const names = ['constructor', 'toString', '__proto__']
    const all = changeSchema(names.map(name => ({ name, type: { kind: 'text' } as const })))
    const none = changeSchema([{ name: 'id', type: { kind: 'text' } }])
    expect(incompatibilities(all, none)).toEqual([])
    expect(incompatibilities(none, all)).toEqual([])
  })
})
