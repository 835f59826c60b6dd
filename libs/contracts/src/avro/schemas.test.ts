/**
 * Digests of the schemas as they are registered. A change makes a new version of the subject in every
 * registry, so it must be intended.
 */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { changeSchema, SCHEMAS } from './schemas.ts'
import type { AvroRecordSchema } from './types.ts'

function digest(schema: AvroRecordSchema): string {
  return createHash('sha256').update(JSON.stringify(schema)).digest('hex').slice(0, 16)
}

describe('the registered schemas', () => {
  it('keep their bytes', () => {
    const change = changeSchema([
      { name: 'id', type: { kind: 'long' } },
      { name: 'first name', type: { kind: 'text' } },
    ])
    const digests = Object.entries({ ...SCHEMAS, Change: change }).map(([name, schema]) => [
      name,
      digest(schema),
    ])
    expect(Object.fromEntries(digests)).toMatchInlineSnapshot(`
      {
        "AlertRecord": "8d0149294a5fb642",
        "Attempt": "4f9430d6efa28799",
        "Captured": "1e770875ccc7b44e",
        "Change": "eb584c2645c0f57b",
        "Command": "4d042e27e02838e1",
        "DefinitionRecord": "2be30160bce511bb",
        "Marker": "dac9e407d1c96923",
        "PartitionReport": "5fa686ce152bb7ca",
        "Request": "5f77d74383fc5aff",
        "ResourceRecord": "4606625c9d7ffd27",
        "RetryEntry": "6ae7c64cf63633e6",
        "RunEvent": "a8dfddedc3b13404",
        "SecretRecord": "f6cc6845bc967c08",
        "Slice": "d7a5154ab8246f38",
        "StreamPosition": "31f9d0bcadf5a1da",
        "TestAttempt": "0b560acf9b8cc00a",
        "TestRequest": "6616c6d7a6e43a2a",
        "Unrenderable": "f36c11c12cef934a",
      }
    `)
  })
})
