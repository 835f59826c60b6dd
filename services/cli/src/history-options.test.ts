import { expect, it } from 'vitest'
import { keyOption } from './history-options.ts'

const keyOf = (key: string | undefined) => keyOption({ positionals: [], options: { key } })

it('a key of several columns may be written with white space, and any other key counts as written', () => {
  expect(keyOf('["eu", "42"]')).toBe('["eu","42"]')
  expect(keyOf('[ "eu", 42 ]')).toBe('["eu","42"]')
  expect(keyOf('["a\u00fc", "\\u00fc"]')).toBe('["aü","ü"]')
  expect(keyOf('42')).toBe('42')
  expect(keyOf('[x, y]')).toBe('[x, y]')
  expect(keyOf('["one"]')).toBe('["one"]')
  expect(keyOf(undefined)).toBeUndefined()
})
