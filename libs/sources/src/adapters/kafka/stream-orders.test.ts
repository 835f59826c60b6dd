/**
 * Orders of the entries of a topic: a later change of a row has a higher one, and what is repeated has not.
 */
import { expect, it } from 'vitest'
import type { Entry } from './entry.ts'
import { placeOf } from './source-place.ts'
import { continued, highestOf, orderOf, SeenOrders, wentBack, type TopicHistory } from './stream-orders.ts'

interface Told {
  readonly partition?: number
  readonly offset: number
  readonly at: number
  readonly sequence?: readonly [commit: number | null, change: number]
  readonly snapshot?: Entry['snapshot']
}

function entryOf({ partition = 0, offset, at, sequence, snapshot = null }: Told): Entry {
  const texts = sequence?.map(each => (each === null ? null : String(each)))
  const source = { connector: 'postgresql', name: 'shop', db: 'shop', sequence: JSON.stringify(texts) }
  return {
    ...{ kind: 'removed', key: { identity: 'k', cells: null }, at: { partition, offset } },
    ...{ committedAt: at, snapshot, ...(texts === undefined ? {} : { source: placeOf(source) }) },
  }
}

/** Takes entries of one partition as a reader does. Says which of them were new. */
class Reader {
  #history: TopicHistory
  #highest: string | null
  constructor(compared: readonly Told[]) {
    const seen = new SeenOrders()
    for (const told of compared) seen.see(entryOf(told))
    this.#history = seen.history('topic')
    this.#highest = seen.highest(0, compared.length, this.#history)
  }

  take(told: Told): 'new' | 'seen' | 'went back' {
    const entry = entryOf(told)
    this.#history = continued(this.#history, entry) ?? this.#history
    if (wentBack(entry, this.#history, this.#highest)) return 'went back'
    const order = orderOf(entry, this.#history, this.#highest)
    if (this.#highest !== null && order <= this.#highest) return 'seen'
    this.#highest = highestOf(order, entry, this.#history, this.#highest)
    return 'new'
  }
}

it('sort the entries of a key by time, if it comes in another partition whose offsets are lower', () => {
  const orders = new SeenOrders()
  orders.see(entryOf({ partition: 0, offset: 7_000, at: 1_000 }))
  const history = orders.history('topic')
  const before = orderOf(entryOf({ partition: 0, offset: 7_001, at: 2_000 }), history, null)
  expect(orderOf(entryOf({ partition: 1, offset: 3, at: 2_001 }), history, null) > before).toBe(true)
  expect(orderOf(entryOf({ partition: 1, offset: 3, at: 1_999 }), history, null) > before).toBe(false)
})

it('rise within a partition though its times go back', () => {
  const reader = new Reader([{ offset: 0, at: 5_000 }])
  expect(reader.take({ offset: 1, at: 4_000 })).toBe('new')
  expect(reader.take({ offset: 2, at: 4_500 })).toBe('new')
})

it('leave out what a connector repeats behind its snapshot, whose entries tell no commit', () => {
  const first = { at: 2_000, sequence: [null, 60] } as const
  const second = { at: 3_000, sequence: [60, 70] } as const
  const reader = new Reader([{ offset: 0, at: 1_000, sequence: [null, 50], snapshot: 'last' }])
  expect(reader.take({ offset: 1, ...first })).toBe('new')
  expect(reader.take({ offset: 2, ...second })).toBe('new')
  expect(reader.take({ offset: 3, ...first })).toBe('seen')
  expect(reader.take({ offset: 4, at: 4_000, sequence: [null, 80] })).toBe('new')
  expect(reader.take({ offset: 5, ...second })).toBe('seen')
})

it('show that the log went back, and do not take what is repeated for that', () => {
  const reader = new Reader([{ offset: 0, at: 1_000, sequence: [900, 1_000] }])
  const change = { at: 2_000, sequence: [1_000, 1_100] } as const
  expect(reader.take({ offset: 1, ...change })).toBe('new')
  expect(reader.take({ offset: 2, at: 1_000, sequence: [900, 1_000] })).toBe('seen')
  expect(reader.take({ offset: 3, at: 3_000, sequence: [40, 50] })).toBe('went back')
})

it('begin anew where the log went back, and not at what is repeated', () => {
  const reader = new Reader([
    { offset: 0, at: 1_000, sequence: [900, 1_000] },
    { offset: 1, at: 2_000, sequence: [40, 50] },
    { offset: 2, at: 3_000, sequence: [50, 60] },
    { offset: 3, at: 2_000, sequence: [40, 50] },
  ])
  expect(reader.take({ offset: 4, at: 3_000, sequence: [50, 60] })).toBe('new')
  expect(reader.take({ offset: 5, at: 2_000, sequence: [40, 50] })).toBe('seen')
})

it('begin anew with a snapshot', () => {
  const reader = new Reader([
    { offset: 0, at: 1_000, sequence: [900, 1_000] },
    { offset: 1, at: 2_000, sequence: [null, 50], snapshot: 'last' },
  ])
  expect(reader.take({ offset: 2, at: 3_000, sequence: [50, 60] })).toBe('new')
})
