import { describe, expect, it } from 'vitest'
import { resourceJsonSchema } from './schema.ts'

describe('the JSON Schema', () => {
  const text = JSON.stringify(resourceJsonSchema())

  it('refers only to definitions that it contains', () => {
    const references = [...text.matchAll(/"\$ref":"([^"]*)"/g)].map(([, reference]) => reference)
    expect(new Set(references)).toEqual(
      new Set(['field', 'fields', 'value'].map(name => `#/definitions/${name}`)),
    )
    const [field, fields, value] = [expect.any(Object), expect.any(Object), expect.any(Object)]
    expect(resourceJsonSchema()).toMatchObject({ definitions: { field, fields, value } })
  })

  it('knows every body', () => {
    for (const body of ['json', 'jsonColumn', 'fields', 'xml', 'form', 'text'])
      expect(text).toContain(`"required":["${body}"]`)
  })
})
