import { describe, expect, it } from 'vitest'
import { docsOf } from './field-docs.ts'

describe('a field of a form', () => {
  it.each([
    ['destination', ['limits', 'rate', 'requests'], '/docs/reference/destination.html#limits'],
    ['destination', ['auth', 'oauth2', 'tokenUrl'], '/docs/reference/destination.html#oauth2'],
    ['sync', ['triggers', 'removed', 'body', 'json'], '/docs/reference/templates.html'],
    ['sync', ['errors', 'rowResults'], '/docs/reference/answers.html#rows-of-a-batch'],
    ['alert', ['when'], '/docs/reference/alert.html#conditions'],
  ] as const)('of a %s at %j leads to its section', (kind, path, href) => {
    expect(docsOf({ kind }, path)).toBe(href)
  })

  it('leads nowhere if the reference says no more', () => {
    expect(docsOf({ kind: 'model' }, ['name'])).toBeUndefined()
  })
})
