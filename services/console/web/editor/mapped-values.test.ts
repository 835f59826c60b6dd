import { describe, expect, it } from 'vitest'
import {
  allColumns,
  columnOf,
  kindOfValue,
  mappingOf,
  objectOf,
  valueAs,
  VALUE_KINDS,
  whenNullOf,
} from './mapped-values.ts'

describe('a value of a mapped body', () => {
  it.each([
    ['email', 'column'],
    [{ column: 'email', whenNull: 'omit' }, 'column'],
    [{ value: 'web' }, 'constant'],
    [{ template: '{{ row.a }}' }, 'template'],
    [['a', 'b'], 'list'],
    [{ street: 'street' }, 'object'],
    [{ value: 'a', unit: 'b' }, 'object'],
    [{ object: { value: 'a' } }, 'object'],
    [{}, 'object'],
  ] as const)('%j is of the kind %s', (value, kind) => {
    expect(kindOfValue(value)).toBe(kind)
  })

  it('has a column, and what becomes of its null', () => {
    expect(columnOf({ column: 'email', whenNull: 'omit' })).toBe('email')
    expect(whenNullOf({ column: 'email', whenNull: 'omit' })).toBe('omit')
    expect(whenNullOf('email')).toBe('')
  })

  it('stays an object, whatever its fields are called', () => {
    for (const fields of [
      [['value', 'a']],
      [['object', 'a']],
      [
        ['column', 'a'],
        ['whenNull', 'b'],
      ],
      [],
    ] as const) {
      const written = objectOf(fields)
      expect(kindOfValue(written)).toBe('object')
      expect(mappingOf(written)).toEqual(fields)
    }
    expect(objectOf([['street', 'a']])).toEqual({ street: 'a' })
  })

  it('becomes any other kind', () => {
    for (const kind of VALUE_KINDS) expect(kindOfValue(valueAs(kind, 'email', ['id']))).toBe(kind)
    expect(valueAs('template', 'email', [])).toEqual({ template: '{{ row.email }}' })
  })
})

describe('the map of a body that was chosen before rows were read', () => {
  it('has all columns once they are known, if nobody has touched it', () => {
    expect(allColumns({}, ['id', 'name'])).toEqual({ id: 'id', name: 'name' })
  })

  it.each([
    [{}, []],
    [{ id: 'id' }, ['id', 'name']],
    [undefined, ['id']],
    ['id', ['id']],
  ])('stays %j with the columns %j', (fields, columns) => {
    expect(allColumns(fields, columns)).toBeNull()
  })
})
