import { expect, it } from 'vitest'
import { nameFrom } from './naming-fields.tsx'

it.each([
  ['HTTP Request - Algolia REST API', 'http-request-algolia-rest-api'],
  ['  Käufer & Übersicht!', 'kaufer-ubersicht'],
  ['日本', ''],
  [`${'a'.repeat(62)} b`, 'a'.repeat(62)],
])('the name of %j is %j', (title, name) => {
  expect(nameFrom(title)).toBe(name)
})
