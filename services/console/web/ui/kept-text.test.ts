import { expect, it } from 'vitest'
import { parseKeptText } from './kept-text.ts'

it('reads a kept text, and refuses any other value', () => {
  expect(parseKeptText('{"text":"a","version":3}')).toEqual({ text: 'a', version: 3 })
  expect(parseKeptText('{"text":"a","version":null}')).toEqual({ text: 'a', version: null })
  for (const other of [
    null,
    '',
    '[]',
    '7',
    '{"text":1,"version":1}',
    '{"text":"a"}',
    '{"text":"a","version":"1"}',
  ])
    expect(parseKeptText(other), String(other)).toBeNull()
})
