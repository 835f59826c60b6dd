import { describe, expect, it } from 'vitest'
import { columnIn, jsonOf, pathOfOne, repeated, rewritten, withColumns } from './starting-requests.ts'

describe('a template that a form begins with', () => {
  const columns = ['id', 'first name']

  it('has a field for each column', () => {
    expect(jsonOf({ columns, isBatch: false })).toBe(
      '{\n  "id": {{ row.id | json }},\n  "first name": {{ row["first name"] | json }}\n}\n',
    )
    expect(columnIn('first-name')).toBe('row.first-name')
  })

  it('becomes that of a batch and back, until somebody edits it', () => {
    const one = jsonOf({ columns, isBatch: false })
    const batch = rewritten(one, true)
    expect(batch).toBe(jsonOf({ columns, isBatch: true }))
    expect(rewritten(one, false)).toBeNull()
    expect(rewritten(batch ?? '', false)).toBe(one)
    expect(rewritten(one.replace('"id"', '"key"'), true)).toBeNull()
    expect(rewritten('{"mine": true}', true)).toBeNull()
  })

  it('follows the columns of the model, until somebody takes one away', () => {
    const one = jsonOf({ columns, isBatch: false })
    expect(withColumns('{"id": {{ row.id | json }}}\n', { before: [], columns })).toBe(one)
    expect(withColumns(one, { before: columns, columns: ['id'] })).toBe(
      jsonOf({ columns: ['id'], isBatch: false }),
    )
    expect(withColumns(jsonOf({ columns: ['id'], isBatch: false }), { before: columns, columns })).toBeNull()
    expect(withColumns(one, { before: columns, columns: [] })).toBeNull()
  })

  it('of somebody can be repeated for each row', () => {
    expect(
      repeated('{"a": {{ row.a | json }}, "b": "{{ captured.b }}", "c": "{{ row.captured.c }}"}\n'),
    ).toBe(
      '[\n{%- for row in rows %}\n{"a": {{ row.a | json }}, "b": "{{ row.captured.b }}", "c": "{{ row.captured.c }}"},\n{%- endfor %}\n]\n',
    )
  })
})

describe('the path of one row', () => {
  it.each([
    ['/people', ['id'], '/people/{{ row.id }}'],
    ['/people/', ['id'], '/people/{{ row.id }}'],
    ['/1/indexes/main/synonyms/batch', ['id'], '/1/indexes/main/synonyms/{{ row.id }}'],
    ['/people?notify=1', ['shop', 'number'], '/people/{{ row.shop }}/{{ row.number }}'],
    ['/people/{{ row.id }}', ['id'], '/people/{{ row.id }}'],
    ['/people/{{ id }}', ['id'], '/people/{{ id }}'],
  ])('%s with the key %j is %s', (added, keys, path) => {
    expect(pathOfOne(added, keys)).toBe(path)
  })
})
