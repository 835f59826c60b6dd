import { expect, it } from 'vitest'
import { unknownSync } from './unknown-names.ts'

it.each([
  ['nobody', 'There is no sync `nobody`.'],
  ['peple', 'There is no sync `peple`: did you mean `people`?'],
])('says in a whole sentence that there is no sync %s', (name, message) => {
  expect(unknownSync(name, ['people', 'orders']).message).toBe(message)
})
