import type { DestinationSpec } from '@sluice/contracts/resources'
import { describe, expect, it } from 'vitest'
import { changedDestination, changeOf, deliveredTo, isAnother } from './delivered-to.ts'

function to(baseUrl: string, more: Partial<DestinationSpec> = {}): ReturnType<typeof deliveredTo> {
  return deliveredTo({ kind: 'destination', name: 'api', baseUrl, ...more })
}

describe('the destination that rows are delivered to', () => {
  it.each([
    ['https://a.test', 'https://b.test', true],
    ['https://a.test', 'http://a.test', true],
    ['https://a.test', 'https://a.test:8443', true],
    ['https://a.test/v1', 'https://a.test/v2', true],
    ['https://a.test', 'https://A.test:443/', false],
    ['https://a.test/v1/', 'https://a.test/v1', false],
    ['https://a.test/${secret:one}/x', 'https://a.test/${secret:two}/x', false],
  ])('%s and %s: another one is %s', (one, other, is) => {
    expect(isAnother(to(one), to(other))).toBe(is)
  })

  const header = (name: string, value: string): Partial<DestinationSpec> => ({ headers: { [name]: value } })
  it.each([
    'X-Algolia-Application-Id',
    'X-Account',
    'Stripe-Account',
    'X-Tenant-ID',
    'xero-tenant-id',
    'x_workspace_name',
    'OpenAI-Organization',
    'X-AccountId',
    // Behind one address, it says which API answers.
    'Host',
  ])('names an account by the header %s', name => {
    expect(isAnother(to('https://a.test', header(name, 'a')), to('https://a.test', header(name, 'b')))).toBe(
      true,
    )
    expect(isAnother(to('https://a.test', header(name, 'a')), to('https://a.test'))).toBe(true)
    const hidden = to('https://a.test', header(name, '${secret:id}'))
    expect(isAnother(to('https://a.test', header(name, 'a')), hidden)).toBe(false)
  })

  it.each([
    'X-Api-Key',
    'X-Account-Token',
    'X-App-Version',
    'X-Project-Secret',
    'User-Agent',
    'Accept',
    'X-Id',
  ])('names none by the header %s', name => {
    expect(to('https://a.test', header(name, 'a')).accounts).toEqual({})
  })

  it('names an account by a query parameter', () => {
    expect(to('https://a.test', { query: { workspace: '7', key: 'k' } }).accounts).toEqual({ workspace: '7' })
  })

  it('holds nothing where no row was delivered, or nobody knows where', () => {
    const [one, other] = [to('https://a.test'), to('https://b.test')]
    expect(changedDestination(one, other, 0)).toBeNull()
    expect(changedDestination(null, other, 3)).toBeNull()
    expect(changedDestination(one, one, 3)).toBeNull()
    expect(changedDestination(one, other, 3)).toEqual({ from: one, to: other })
  })

  it('says what differs', () => {
    const from = to('https://a.test', header('X-App-Id', 'A'))
    expect(changeOf({ from, to: to('https://b.test/v1', header('X-App-Id', 'B')) })).toBe(
      'from https://a.test to https://b.test/v1, x-app-id from A to B',
    )
    expect(changeOf({ from, to: to('https://a.test') })).toBe('x-app-id from A to none')
  })
})
