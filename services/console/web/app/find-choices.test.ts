import { expect, it } from 'vitest'
import { findChoices, matches } from './find-choices.ts'

it('a name is found by letters in their order', () => {
  expect(matches('algolia-synonyms', 'asyn')).toBe(true)
  expect(matches('algolia-synonyms', 'syna')).toBe(false)
})

const ALL = [
  { name: 'Failed-logins', what: 'model' },
  { name: 'far-illinois-gas', what: 'sync', state: 'success' },
  { name: 'crm', what: 'sync', state: 'failed failing' },
  { name: 'api', what: 'destination', state: 'degraded' },
  { name: 'shop', what: 'destination', state: 'healthy' },
]
const found = (letters: string, limit = 12): readonly string[] =>
  findChoices(ALL, letters, limit).map(({ name }) => name)

it('a word of a state finds all that are in it, before names with its letters here and there', () => {
  expect(found('failing')).toEqual(['crm', 'far-illinois-gas'])
  expect(found('Degraded ')).toEqual(['api'])
  expect(found('fail')).toEqual(['Failed-logins', 'crm', 'far-illinois-gas'])
  expect(found('fail', 1)).toEqual(['Failed-logins'])
  // The letters of a state, here and there, find nothing: too many are in the same state.
  expect(found('hlthy')).toEqual([])
  expect(found('')).toHaveLength(ALL.length)
})
