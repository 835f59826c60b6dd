import { sampleCounts, sampleEvent } from '@sluice/testkit/sample-records'
import { expect, it } from 'vitest'
import { behindOf, isTelling } from './behind-since.ts'

const rows = { added: sampleCounts({ detected: 3 }) }
const behindSince = (events: Parameters<typeof behindOf>[0]) => behindOf(events)?.since ?? null
const at = (startedAt: number, fields: Parameters<typeof sampleEvent>[0] = {}) =>
  sampleEvent({ status: 'success', startedAt, queuedAt: startedAt, counts: rows, ...fields })

it('is the begin of the first run after the last one that delivered all', () => {
  expect(behindSince([at(9)])).toBeNull()
  expect(behindSince([at(9, { status: 'running' }), at(5, { status: 'warning' }), at(3)])).toBe(5)
  expect(behindSince([at(9, { status: 'failed' }), at(5, { status: 'failed' })])).toBe(5)
  expect(behindSince([])).toBeNull()
})

it('passes over runs that look at some rows, and those that were cancelled before they knew of any', () => {
  const discard = at(8, { cause: 'discard' })
  expect(behindSince([discard, at(5, { status: 'warning' }), at(3)])).toBe(5)
  expect(behindSince([at(8, { cause: 'reset' }), at(5, { status: 'warning' }), at(3)])).toBe(5)
  expect(behindSince([at(8, { status: 'cancelled', counts: {} }), at(3)])).toBeNull()
  expect(behindSince([at(8, { status: 'cancelled' }), at(3)])).toBe(8)
})

it('counts the runs that have ended since', () => {
  const events = [
    at(9, { status: 'running' }),
    at(7, { status: 'failed' }),
    at(5, { status: 'warning' }),
    at(3),
  ]
  expect(behindOf(events)).toEqual({ since: 5, runs: 2 })
})

it('tells apart the runs that show whether rows arrive', () => {
  const scope = { as: null, key: '1', status: null }
  const silent = [
    at(3, { status: 'running' }),
    at(3, { status: 'cancelled', counts: {} }),
    at(3, { cause: 'reset' }),
    at(3, { cause: 'discard' }),
    at(3, { cause: 'replay' }),
    at(3, { cause: 'retry', scope }),
  ]
  expect(silent.map(isTelling)).toEqual(silent.map(() => false))
  const telling = [at(3), at(3, { cause: 'retry' }), at(3, { status: 'cancelled' })]
  const failing = silent.slice(2).map(event => ({ ...event, status: 'failed' as const }))
  expect([...telling, ...failing].map(isTelling)).not.toContain(false)
})
