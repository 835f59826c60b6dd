import { describe, expect, it } from 'vitest'
import { MAX_PATH_LENGTH, parseJsonPath, valuesAt, type JsonPath } from './json-path.ts'

function path(text: string): JsonPath {
  const parsed = parseJsonPath(text)
  if (parsed.kind === 'wrong') throw new Error(`${text}: ${parsed.message}`)
  return parsed.path
}

const DOCUMENT: unknown = JSON.parse(`{
  "id": 7, "größe": 1, "a_1": 2, "nothing": null,
  "my field": { "it's": 3, "say \\"x\\"": 4, "b\\\\c": 5, "": 6 },
  "errors": [{ "code": "e1" }, { "code": "e2", "more": [1, 2] }, 9],
  "__proto__": { "x": 1 }
}`)

describe('a JSONPath', () => {
  it.each([
    ['$', [DOCUMENT]],
    ['$.id', [7]],
    ['$.größe', [1]],
    ['$.a_1', [2]],
    ['$.nothing', [null]],
    ["$['id']", [7]],
    ['$["my field"]["it\'s"]', [3]],
    ["$['my field']['it\\'s']", [3]],
    ['$["my field"]["say \\"x\\""]', [4]],
    ["$['my field']['b\\\\c']", [5]],
    ["$['my field']['']", [6]],
    ['$.errors[0].code', ['e1']],
    ['$.errors[*].code', ['e1', 'e2']],
    ['$.errors[1].more[*]', [1, 2]],
    ['$.errors[1][*]', ['e2', [1, 2]]],
    ['$.errors[3]', []],
    ['$.errors.code', []],
    ['$.errors.length', []],
    ['$.id.x', []],
    ['$.id[0]', []],
    ['$.nothing.x', []],
    ['$.toString', []],
    ['$.constructor', []],
    ['$.__proto__.x', [1]],
  ])('%s finds what is there, and nothing else', (text, found) => {
    expect(valuesAt(path(text), DOCUMENT)).toEqual(found)
  })

  it('finds nothing inside of what is no map or list of JSON', () => {
    expect(
      valuesAt(
        path('$.text'),
        new (class {
          text = 'x'
        })(),
      ),
    ).toEqual([])
    expect(valuesAt(path('$.length'), 'text')).toEqual([])
  })

  it('says whether it may find several values', () => {
    expect(path('$.a[0]').many).toBe(false)
    expect(path('$.a[*].b').many).toBe(true)
  })

  it.each([
    ['', 1, 'begins with $'],
    ['id', 1, 'begins with $'],
    ['$id', 2, 'wanted .name'],
    ['$.', 2, 'wanted .name'],
    ['$..id', 2, 'search all levels'],
    ['$.a..id', 4, 'search all levels'],
    ['$.*', 2, 'write [*]'],
    ['$.a[-1]', 4, 'from the front'],
    ['$.a[?(@.x)]', 4, 'filters are not supported'],
    ['$.a[0,1]', 4, 'one place or [*]'],
    ['$.a[1:2]', 4, 'one place or [*]'],
    ['$.a[01]', 4, 'wanted .name'],
    ['$.a[b]', 4, 'quote the name'],
    ["$.a['b", 4, 'a quoted name ends'],
    ["$.a['b\\n']", 4, 'a quoted name ends'],
    ['$.my-field', 5, "write a name with other characters as ['name']"],
    ['$.1st', 2, "write a name with other characters as ['name']"],
    ['$.a [0]', 4, 'wanted .name'],
    ['$.a[12345678901]', 4, 'wanted .name'],
    [`$.${'a'.repeat(MAX_PATH_LENGTH)}`, 1, 'at most'],
  ])('that is written %s is refused with the place of the mistake', (text, column, message) => {
    expect(parseJsonPath(text)).toEqual({
      kind: 'wrong',
      column,
      message: expect.stringContaining(message),
    })
  })
})
