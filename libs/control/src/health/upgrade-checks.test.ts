import { SCHEMAS } from '@sluice/contracts/avro/schemas'
import type { AvroRecordSchema } from '@sluice/contracts/avro/types'
import { describe, expect, it } from 'vitest'
import { isLater, schemaChecks, versionCheck } from './upgrade-checks.ts'

const OURS = Object.entries(SCHEMAS).map(([name, schema]) => ({ subject: `here.${name}`, schema }))
const FIELD = { name: 'later', type: 'string' } as const

/** The schemas of this version, with one of them as another version has it. */
function withOther(name: keyof typeof SCHEMAS, change: (schema: AvroRecordSchema) => AvroRecordSchema) {
  return OURS.map(each =>
    each.subject === `here.${name}` ? { ...each, schema: change(structuredClone(each.schema)) } : each,
  )
}

describe('versions', () => {
  it.each([
    ['0.3.0', '0.2.0', true],
    ['0.10.0', '0.9.9', true],
    ['1.0.0', '0.99.0', true],
    ['0.2.0', '0.2.0', false],
    ['0.2.0-rc.1', '0.2.0', false],
    ['0.1.9', '0.2.0', false],
  ])('%s is later than %s: %s', (a, b, later) => {
    expect(isLater(a, b)).toBe(later)
  })

  it('says that an earlier version than the last one is a downgrade', () => {
    expect(versionCheck('0.3.0', '0.2.0')).toMatchObject({ status: 'warning', effect: null })
    expect(versionCheck('0.1.0', '0.2.0')).toMatchObject({ status: 'ok', effect: 'kept' })
    expect(versionCheck(null, '0.2.0')).toMatchObject({ status: 'ok', effect: 'kept' })
  })
})

describe('schemas of another version', () => {
  it('are kept if this version reads them', () => {
    expect(schemaChecks(OURS, 'here')).toMatchObject([{ effect: 'kept' }])
    const more = withOther('Attempt', schema => ({ ...schema, fields: [...schema.fields, FIELD] }))
    expect(schemaChecks(more, 'here')).toMatchObject([
      { effect: 'kept', found: expect.stringContaining('1 of another version fit') },
    ])
  })

  it('are refused if they lack a field that this version needs', () => {
    const fewer = withOther('Attempt', schema => ({
      ...schema,
      fields: schema.fields.filter(({ name }) => name !== 'attempt'),
    }))
    expect(schemaChecks(fewer, 'here')).toMatchObject([
      { effect: 'refused', status: 'problem', found: expect.stringContaining('Attempt (attempt)') },
    ])
  })

  it('are refused if this version does not know the record, unless it is of one sync or another prefix', () => {
    const schema = { ...SCHEMAS.Marker, name: 'Later' }
    const other = (subject: string) => schemaChecks([...OURS, { subject, schema }], 'here')
    expect(other('here.Later')).toMatchObject([
      { effect: 'refused', found: expect.stringContaining('Later') },
    ])
    for (const subject of ['here.people.01AB.Change', 'elsewhere.Later', 'here-too.Later'])
      expect(other(subject)).toMatchObject([{ effect: 'kept' }])
  })
})
