import { SluiceError } from '@sluice/contracts/errors'
import { destination, type DestinationSpec } from '@sluice/contracts/resources'
import { describe, expect, it, vi } from 'vitest'
import type { JudgedDestination } from './destination-health.ts'
import { destinationsPageOf } from './destinations-page.ts'

const paging = { limit: 50, after: undefined }
const { signal } = new AbortController()
const named = (name: string, more: object = {}): DestinationSpec =>
  destination.parse({ kind: 'destination', name, baseUrl: 'https://api.example.com', ...more })
const SPECS = [named('b'), named('a', { limits: { concurrency: 5 } })]

const JUDGED: JudgedDestination = {
  health: { state: 'unused', reason: 'No request.', until: null, fix: null, lastAttemptAt: null },
  hour: {
    ...{ attempts: 0, delivered: 0, throttled: 0, errors: [] },
    latencyMs: { p50: null, p90: null, p99: null },
  },
}
const judge = (): JudgedDestination => JUDGED

/** The slots in use on the page, by destination. */
const inUse = async (slotsTaken: (scope: string) => Promise<number | null>, of = signal) => {
  const { destinations } = await destinationsPageOf(
    SPECS,
    { usage: { slotsTaken }, judge },
    { ...paging, signal: of },
  )
  return Object.fromEntries(destinations.map(({ name, concurrency }) => [name, concurrency.inUse]))
}

describe('the destinations', () => {
  it('are told by name, each with its concurrency limit and how much of it is in use', async () => {
    const slotsTaken = (scope: string) => Promise.resolve(scope === 'destination/a' ? 3 : 0)
    expect(await destinationsPageOf(SPECS, { usage: { slotsTaken }, judge }, { ...paging, signal })).toEqual({
      destinations: [
        { name: 'a', ...JUDGED, concurrency: { limit: 5, inUse: 3 } },
        { name: 'b', ...JUDGED, concurrency: { limit: 100, inUse: 0 } },
      ],
      next: null,
    })
  })

  it('come in pages', async () => {
    const first = await destinationsPageOf(SPECS, { usage: null, judge }, { ...paging, limit: 1, signal })
    const after = first.next ?? undefined
    const second = await destinationsPageOf(SPECS, { usage: null, judge }, { limit: 1, after, signal })
    const names = [first, second].map(({ destinations }) => destinations.map(({ name }) => name))
    expect([names, second.next]).toEqual([[['a'], ['b']], null])
  })

  it('have no figure where nobody knows, rather than 0', async () => {
    const { destinations } = await destinationsPageOf(SPECS, { usage: null, judge }, { ...paging, signal })
    expect(destinations.map(({ concurrency }) => concurrency)).toEqual([
      { limit: 5, inUse: null },
      { limit: 100, inUse: null },
    ])
  })

  it('have no figure where the limits do not answer, and the others have theirs', async () => {
    const slotsTaken = (scope: string) =>
      scope === 'destination/a'
        ? Promise.reject(new SluiceError('unreachable', 'Redis does not answer', { retryable: true }))
        : Promise.resolve(7)
    expect(await inUse(slotsTaken)).toEqual({ a: null, b: 7 })
  })

  it('have no figure that comes too late', async () => {
    vi.useFakeTimers()
    try {
      const asked = inUse(scope => (scope === 'destination/a' ? new Promise(() => {}) : Promise.resolve(7)))
      await vi.advanceTimersByTimeAsync(1_000)
      expect(await asked).toEqual({ a: null, b: 7 })
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  it('are not told to somebody who has gone, and bugs are no silence', async () => {
    const gone = new AbortController()
    const asked = inUse(() => new Promise(() => {}), gone.signal)
    gone.abort(new Error('the client is gone'))
    await expect(asked).rejects.toThrow('the client is gone')
    await expect(inUse(() => Promise.reject(new TypeError('a bug')))).rejects.toThrow('a bug')
  })
})
