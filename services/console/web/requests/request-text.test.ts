import { describe, expect, it } from 'vitest'
import { asCurl } from './as-curl.ts'
import { laidOutJson } from './body-view.tsx'

describe('a body on the page', () => {
  it('is laid out without touching a digit or a letter', () => {
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

  it('stays as it is if it is not JSON, or too long to be laid out at once', () => {
    expect(laidOutJson('id=1&name=Ada')).toBeNull()
    expect(laidOutJson(`"${'x'.repeat(600_000)}"`)).toBeNull()
  })
})

describe('a request as a curl command', () => {
  it('quotes what a shell would read otherwise, and leaves out what curl sets itself', () => {
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
