import { describe, expect, it } from 'vitest'
import { startedFrom, templateOf } from './api-templates.ts'
import { nameIn, STARTING_DRAFT, textAt, unreadableIn, valueAt, withValue } from './draft.ts'
import { API_TEMPLATES } from './start-from.tsx'

describe('the template of an API', () => {
  it.each(API_TEMPLATES)('%s needs no environment and no file', name => {
    const { destination, sync } = templateOf(name)
    for (const text of [destination, sync]) {
      expect(unreadableIn(text)).toBeNull()
      expect(text).not.toMatch(/\$\{[A-Z]|\$\{file:|^#/)
    }
    expect(textAt(destination, ['baseUrl'])).toMatch(/^https:/)
  })

  it('brings destination and requests, and leaves the rows and the name', () => {
    const mine = withValue(STARTING_DRAFT.sync, ['schedule'], { every: '15m' })
    const draft = startedFrom({ ...STARTING_DRAFT, sync: mine }, templateOf('stripe'), ['stripe'])
    expect(nameIn(draft.destination)).toBe('stripe-2')
    expect(draft.source).toBe(STARTING_DRAFT.source)
    expect(['name', 'model', 'destination'].map(field => textAt(draft.sync, [field]))).toEqual([
      ...['customers', 'customers', 'stripe-2'],
    ])
    expect(valueAt(draft.sync, ['schedule'])).toEqual({ every: '15m' })
    expect(textAt(draft.sync, ['triggers', 'changed', 'path'])).toBe('/v1/customers/{{ captured.customer }}')
  })
})
