import { expect, it } from 'vitest'
import { parseKeptText } from './kept-text.ts'

it('reads what was kept, and takes nothing else for it', () => {
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
