import { describe, expect, it } from 'vitest'
import { avroName, rowSchema } from './row.ts'

describe('names of columns in Avro', () => {
  it.each([
    ['id', 'id'],
    ['First_Name2', 'First_Name2'],
    ['first name', 'first_x20_name'],
    ['2nd', '_x32_nd'],
    ['é', '_xe9_'],
    ['😀', '_x1f600_'],
    ['', '_x_'],
    ['_x', '_x5f_x'],
    ['_x41_', '_x5f_x41_'],
    ['__x', '__x5f_x'],
    ['a.b', 'a_x2e_b'],
    ['__proto__', '_x5f__proto__'],
  ])('%j is %s', (column, name) => {
    expect(avroName(column)).toBe(name)
  })

  it('are always allowed, and different for different columns', () => {
    const alphabet = ['_', 'x', 'X', 'a', '4', '1', ' ', 'é', '-', '\ud800', '"']
    const columns = ['']
    for (let length = 1, start = 0; length <= 4; length++) {
      const end = columns.length
      for (const before of columns.slice(start, end)) for (const next of alphabet) columns.push(before + next)
      start = end
    }
    const names = columns.map(avroName)
    expect(names.filter(name => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))).toEqual([])
    expect(new Set(names).size).toBe(columns.length)
  })

  it('are kept beside the field only where they differ', () => {
    const schema = rowSchema([
      { name: 'id', type: { kind: 'long' } },
      { name: 'a b', type: { kind: 'text' } },
    ])
    expect(schema.fields.map(({ name, sluiceName }) => [name, sluiceName])).toEqual([
      ['id', undefined],
      ['a_x20_b', 'a b'],
    ])
  })

  it('of structs stay the same when other columns come before them', () => {
    const place = {
      name: 'place',
      type: { kind: 'struct', fields: [{ name: 'x', type: { kind: 'double' } }] },
    } as const
    const other = { name: 'other', type: { kind: 'list', of: place.type } } as const
    const [alone] = rowSchema([place]).fields
    expect(rowSchema([other, place]).fields[1]).toEqual(alone)
    const names = JSON.stringify(rowSchema([other, place])).match(/"namespace":"[^"]*","name":"[^"]*"/g)
    expect(new Set(names).size).toBe(3)
  })
})
