import { describe, expect, it } from 'vitest'
import { editDistance, nearestName } from './nearest-name.ts'

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['abc', '', 3],
    ['kitten', 'sitting', 3],
    ['method', 'mehtod', 1],
    ['ca', 'abc', 3],
    ['naïve', 'naive', 1],
    ['👍a', '👍b', 1],
  ])('from %j to %j is %i', (from, to, distance) => {
    expect(editDistance(from, to)).toBe(distance)
    expect(editDistance(to, from)).toBe(distance)
  })
})

describe('nearestName', () => {
  const fields = ['method', 'path', 'headers', 'body', 'batch']

  it.each([
    ['methd', 'method'],
    ['mehtod', 'method'],
    ['header', 'headers'],
    ['Path', 'path'],
    ['bdy', 'body'],
  ])('of %j is %j', (name, nearest) => {
    expect(nearestName(name, fields)).toBe(nearest)
  })

  it('passes over case, dashes and underscores', () => {
    expect(nearestName('primary_key', ['primaryKey', 'table'])).toBe('primaryKey')
    expect(nearestName('BASEURL', ['baseUrl'])).toBe('baseUrl')
    expect(nearestName('skipexisting', ['backfill', 'skip-existing'])).toBe('skip-existing')
  })

  it('takes a word for what begins with it', () => {
    expect(nearestName('vali', ['version', 'validate'])).toBe('validate')
    expect(nearestName('alg', ['crm', 'algolia-synonyms'])).toBe('algolia-synonyms')
  })

  it('finds nothing where nothing is near', () => {
    expect(nearestName('wrap', fields)).toBeNull()
    expect(nearestName('', fields)).toBeNull()
    expect(nearestName('anything', [])).toBeNull()
    expect(nearestName('ab', ['xy'])).toBeNull()
  })

  it('prefers the nearer and, of equally near ones, the first', () => {
    expect(nearestName('sync', ['syn', 'sync2', 'sync'])).toBe('sync')
    expect(nearestName('aab', ['aaa', 'aac'])).toBe('aaa')
  })

  it('is not slowed down by long words', () => {
    expect(nearestName('x'.repeat(100_000), ['x'.repeat(100_000)])).toBeNull()
  })
})
