import { describe, expect, it } from 'vitest'
import { wholeOf } from './streamed-row.ts'

const entry = {
  ...{ key: '1', row: { id: 1, name: 'Ann', bio: null }, lacks: ['bio'] },
  ...{ order: '2', committedAt: null, partition: 0 },
}

describe('an entry that lacks values', () => {
  it('has those of the row before', () => {
    const before = { row: { id: 1, name: 'An', bio: 'long' } }
    expect(wholeOf(entry, before, ['bio'])).toEqual({ row: { id: 1, name: 'Ann', bio: 'long' } })
  })

  it('cannot be used if nobody knows a value that is needed', () => {
    expect(wholeOf(entry, undefined, ['name', 'bio'])).toBeNull()
    expect(wholeOf(entry, { row: { id: 1, name: 'An' } }, ['bio'])).toBeNull()
  })

  it('has null for a value that nobody knows and nobody needs', () => {
    expect(wholeOf(entry, undefined, ['name'])).toEqual({ row: { id: 1, name: 'Ann', bio: null } })
  })
})
