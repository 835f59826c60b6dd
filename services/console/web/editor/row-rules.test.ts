import { describe, expect, it } from 'vitest'
import { takesEveryItem } from './row-rules.ts'

describe('a rule for the rows of an answer', () => {
  it.each([
    [{ items: '$.errors[*]', as: 'rejected' }, 'rejected'],
    [{ items: '$.results[*]', as: 'unknown', json: '', body: '' }, 'unknown'],
  ])('%j takes every item', (rule, as) => {
    expect(takesEveryItem(rule)).toContain(`Every item counts as ${as}.`)
  })

  it.each([
    { items: '$.results[*]', as: 'rejected', json: '$.error' },
    { items: '$.results[*]', as: 'rejected', body: '"error"' },
    { items: '$.results[*]', as: 'delivered' },
    { items: '', as: 'rejected' },
    undefined,
  ])('%j says nothing of it', rule => {
    expect(takesEveryItem(rule)).toBeUndefined()
  })
})
