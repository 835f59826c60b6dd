/**
 * The topics of a sync over a stream, in memory. Its run has no end of its own: slices of changes follow each
 * other, each with a marker behind it in each partition.
 */
import { outcomeOf, stateAfter, type Change, type State, type Topics } from '../topics.ts'
import type { Mistake } from './mistakes.ts'

/** The place in the source from which a detector has to read. */
export interface Position {
  readonly offset: number
  /** The highest order of all entries before the offset. The log may have entries below it once more. */
  readonly highest: number
}

export interface StreamChange extends Change {
  /** The slice of the run. A key has at most one change in a slice. */
  readonly slice: number
  /** The order of the entry that the change comes of. */
  readonly order: number
}

export type Item =
  | { readonly kind: 'change'; readonly change: StreamChange }
  /** `from`: where a successor reads on if all before this marker is there, and nothing behind it. */
  | { readonly kind: 'slice'; readonly run: number; readonly slice: number; readonly from: Position }
  | { readonly kind: 'run-end'; readonly run: number }

export interface Partition {
  readonly changes: Item[]
  readonly retry: Topics['retry']
  /** The markers that delivery has passed on: all before them is finished, with its effects. */
  finishedSlice: number
  finishedRun: number
}

export function makePartitions(count: number): readonly Partition[] {
  return Array.from({ length: count }, () => ({
    changes: [],
    retry: new Map(),
    finishedSlice: 0,
    finishedRun: 0,
  }))
}

interface Placed {
  readonly change: StreamChange
  readonly partition: number
}

/**
 * The last change of each key. A key that is gone may come back in another partition, even in the same run:
 * so the slice tells which of two changes is the later one.
 */
export function lastChanges(
  partitions: readonly Partition[],
  mistake: Mistake | null,
): ReadonlyMap<string, Placed> {
  const last = new Map<string, Placed>()
  for (const [partition, { changes }] of partitions.entries()) {
    for (const item of changes) {
      if (item.kind !== 'change') continue
      const { change } = item
      const { run, slice } = last.get(change.key)?.change ?? { run: -1, slice: -1 }
      const isLater = change.slice >= slice || mistake === 'orders-by-run'
      if (change.run > run || (change.run === run && isLater)) last.set(change.key, { change, partition })
    }
  }
  return last
}

/** The delivered state, if delivery has finished all there is. */
export function stateOf(partitions: readonly Partition[], mistake: Mistake | null): State {
  const state: State = new Map()
  for (const [key, { change, partition }] of lastChanges(partitions, mistake)) {
    const entry = partitions[partition]?.retry.get(key)
    const outcome = outcomeOf(change, entry)
    const { kind, row, muted } = stateAfter(change, outcome)
    if (kind === 'absent' && entry === undefined) continue
    const isUndecided = change.op !== 'settled' && outcome === 'unknown'
    state.set(key, { kind, row, muted, partition, run: change.run, isUndecided })
  }
  return state
}

/** The position of the newest slice of which any partition tells. */
export function lastPosition(partitions: readonly Partition[]): Position {
  const markers = partitions.flatMap(({ changes }) =>
    changes.flatMap(item => (item.kind === 'slice' ? [item] : [])),
  )
  const newest = markers.toSorted((a, b) => a.run - b.run || a.slice - b.slice).at(-1)
  return newest?.from ?? { offset: 0, highest: 0 }
}
