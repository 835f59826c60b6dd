import { describe, expect, it } from 'vitest'
import { asCurl } from './as-curl.ts'
import { piecesOf } from './body-view.tsx'
import { laidOutJson } from './laid-out-json.ts'

describe('a body on the page', () => {
  it('is formatted without changing a digit or a letter', () => {
    const body =
      '{"id":9007199254740993,"price":1.10,"name":"a \\"b\\", {c}","tags":[],"more":[1,{"x":null}]}'
    expect(laidOutJson(body)).toBe(
      [
        '{',
        '  "id": 9007199254740993,',
        '  "price": 1.10,',
        '  "name": "a \\"b\\", {c}",',
        '  "tags": [],',
        '  "more": [',
        '    1,',
        '    {',
        '      "x": null',
        '    }',
        '  ]',
        '}',
      ].join('\n'),
    )
  })

  it('is formatted as far as it goes if only its beginning is kept', () => {
    const cut = '{"id":1,"tags":["a","b \\"c'
    expect(laidOutJson(cut)).toBeNull()
    expect(laidOutJson(cut, true)).toBe('{\n  "id": 1,\n  "tags": [\n    "a",\n    "b \\"c')
    expect(laidOutJson('{{ not JSON', true)).toBeNull()
  })

  it('stays as it is if it is not JSON', () => {
    expect(laidOutJson('id=1&name=Ada')).toBeNull()
  })

  it('is split into short pieces, at ends of lines if possible, which together are the text', () => {
    const lines = piecesOf('one\ntwo\nthree\n', 9)
    expect(lines).toEqual(['one\ntwo\n', 'three\n'])
    const long = `${'x'.repeat(6)}${'😀'.repeat(20)}\nend`
    const pieces = piecesOf(long, 9)
    expect(pieces.join('')).toBe(long)
    for (const piece of pieces) {
      expect(piece.length).toBeLessThanOrEqual(9)
      expect(piece.isWellFormed()).toBe(true)
    }
  })
})

describe('a request as a curl command', () => {
  it('says that its body is truncated', () => {
    const sent = { method: 'POST', url: 'https://a.example.com', requestHeaders: {}, requestBody: '{"a":' }
    expect(asCurl({ ...sent, requestBodyBytes: 70_000 })).toMatch(/^# Only the beginning of the body is kept/)
    expect(asCurl(sent)).toMatch(/^curl /)
  })

  it('quotes characters with a meaning for the shell, and leaves out headers that curl sets', () => {
    const sent = {
      method: 'POST',
      url: "https://api.example.com/customers?name=O'Hara",
      requestHeaders: { 'Content-Type': 'application/json', Host: 'api.example.com', 'content-length': '17' },
      requestBody: '{"name":"O\'Hara"}',
    }
    expect(asCurl(sent)).toBe(
      [
        String.raw`curl -X POST 'https://api.example.com/customers?name=O'\''Hara' \
  -H 'Content-Type: application/json' \
  --data-raw '{"name":"O'\''Hara"}'`,
      ].join(''),
    )
  })
})
