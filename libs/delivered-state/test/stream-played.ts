/** Topics of a sync over a stream for tests, and how a state by key takes them in. */
import type { Captured, Change, RetryEntry } from '@sluice/contracts/records'
import type { Outcome } from '@sluice/contracts/state'
import type { Column, Row } from '@sluice/contracts/values'
import type { StreamedChange, StreamFeed, StreamState } from '../src/stream-port.ts'
import { entryOf } from './played.ts'

export const COLUMNS: readonly Column[] = [
  { name: 'id', type: { kind: 'text' } },
  { name: 'v', type: { kind: 'long' } },
]

export const rowOf = (id: string, v: number): Row => ({ id, v })

/** A change of a key, as far as it is not what `changeOf` gives. */
export type Told = Partial<Omit<Change, 'incarnation' | 'owner' | 'streamed'>> & {
  readonly key: string
  readonly slice?: number | null
  readonly epoch?: number
  readonly order?: string
}

/**
 * A change that adds the row `{ id, v: 1 }` in slice 1 of run 1, or what is told. A null slice: of a table.
 */
export function changeOf({ slice = 1, epoch = 1, order = '', ...told }: Told): StreamedChange['change'] {
  return {
    run: 1,
    seq: 0,
    op: 'added',
    before: null,
    beforeState: 'absent',
    after: rowOf(told.key, 1),
    settledState: null,
    muted: null,
    captured: null,
    retried: null,
    replayed: null,
    streamed: slice === null ? null : { slice, epoch, order, committedAt: null },
    wanted: null,
    ...told,
  }
}

/** The topics of some partitions. Each record stands at the next offset, and its time is its run × 1,000. */
export class StreamTopics {
  readonly #state: StreamState
  readonly #ends: { changes: number; retry: number; captured: number; seq: number }[]

  constructor(state: StreamState, partitions = 2) {
    this.#state = state
    this.#ends = Array.from({ length: partitions }, () => ({ changes: 0, retry: 0, captured: 0, seq: 0 }))
  }

  /** Takes in changes of one slice, and what became of those that were not delivered. */
  take(
    all: readonly Told[],
    {
      partition = 0,
      outcomes = {},
    }: { readonly partition?: number; readonly outcomes?: { readonly [key: string]: Outcome } } = {},
  ): void {
    const ends = this.#endsOf(partition)
    const placed = all.map(told => changeOf({ seq: ends.seq++, ...told }))
    const failed = placed.flatMap(({ key, op, run, seq }) => {
      const outcome = outcomes[key]
      if (op === 'settled' || outcome === undefined) return []
      return [{ key, value: entryOf(op, outcome, { run, seq }), timestamp: run * 1000 }]
    })
    ends.retry += failed.length
    this.#state.take({
      partition,
      changes: this.changes(partition, placed),
      retry: { records: failed, nextOffset: ends.retry },
    })
  }

  /** Places changes, or tombstones of keys, behind the others. */
  changes(
    partition: number,
    all: readonly (StreamedChange['change'] | string)[],
  ): NonNullable<StreamFeed['changes']> {
    const ends = this.#endsOf(partition)
    const records = all.map(change =>
      typeof change === 'string'
        ? { offset: ends.changes++, key: change, change: null }
        : { offset: ends.changes++, timestamp: change.run * 1000, change },
    )
    return { records, nextOffset: ends.changes }
  }

  end(key: string, partition = 0): void {
    this.#state.take({ partition, changes: this.changes(partition, [key]) })
  }

  retry(key: string, value: RetryEntry | null, { partition = 0, timestamp = 0 } = {}): void {
    const ends = this.#endsOf(partition)
    this.#state.take({ partition, retry: { records: [{ key, value, timestamp }], nextOffset: ++ends.retry } })
  }

  captured(key: string, values: string | null, { partition = 0, run = 1 } = {}): void {
    const ends = this.#endsOf(partition)
    const value: Captured | null =
      values === null ? null : { incarnation: 'i', owner: 0, run, seq: 0, values }
    this.#state.take({ partition, captured: { records: [{ key, value }], nextOffset: ++ends.captured } })
  }

  #endsOf(partition: number) {
    const ends = this.#ends[partition]
    if (ends === undefined) throw new Error(`there is no partition ${partition}`)
    return ends
  }
}
