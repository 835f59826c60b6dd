import { CompletionContext } from '@codemirror/autocomplete'
import { EditorState } from '@codemirror/state'
import { describe, expect, it } from 'vitest'
import { isQuoted, liquidAt, liquidCompletion } from './liquid-editing.ts'

/** The labels and the inserted texts that are offered at the end of a text. */
const offered = (text: string, { explicit = false, isJson = true } = {}) => {
  const source = liquidCompletion(['row.id', 'row.name', 'sync.name'], isJson)
  const found = source(new CompletionContext(EditorState.create({ doc: text }), text.length, explicit))
  if (found === null || found instanceof Promise) return null
  return { from: text.slice(found.from), options: found.options.map(({ label, apply }) => apply ?? label) }
}

describe('completion in a template', () => {
  it('offers columns, filters and tags where they fit', () => {
    expect(offered('{"id": {{ row.')).toMatchObject({
      from: 'row.',
      options: ['row.id', 'row.name', 'sync.name'],
    })
    expect(offered('{"id": {{ row.id | js')?.options).toContain('json')
    expect(offered('[{% fo')).toMatchObject({ from: 'fo' })
    expect(offered('{% if ro')).toMatchObject({ from: 'ro' })
  })

  it('brings the braces along outside of Liquid, and asks for JSON where no text is open', () => {
    expect(offered('{"id": row.')?.options[0]).toBe('{{ row.id | json }}')
    expect(offered('{"id": "x row.')?.options[0]).toBe('{{ row.id }}')
    expect(offered('<id>row.', { isJson: false })?.options[0]).toBe('{{ row.id }}')
    expect(offered('some words')).toBeNull()
    expect(offered('{"id": ', { explicit: true })?.options).toHaveLength(3)
  })
})

it('knows where Liquid and texts of JSON are open', () => {
  expect(liquidAt('{"a": {{ x }}')).toBeNull()
  expect(liquidAt('{{ x }} {% if')).toBe('tag')
  expect(liquidAt('{% if x %}{{ ')).toBe('output')
  expect(isQuoted('{"a": "{{ x | default: "" }} ')).toBe(true)
  expect(isQuoted('{"a": "b\\"c", ')).toBe(false)
})
