/**
 * The topics of a sync over a stream, in memory, and the state of each key that follows from them. A run has
 * no end of its own: slices of changes follow each other, each with a marker behind it in each partition.
 */
import type { Random } from '@sluice/testkit/random'
import type { Row } from '../plan.ts'
import { outcomeOf, stateAfter, type Change, type Known, type Topics } from '../topics.ts'
import type { Mistake } from './mistakes.ts'
import type { Place } from './source.ts'

/**
 * An order holds within its epoch. One begins with each comparison, and where keys move to other partitions
 * of a source whose orders are offsets.
 */
export interface Order {
  readonly epoch: number
  readonly at: number
}

export function isNewer(a: Order, b: Order): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.at > b.at)
}

/** The place in the source from which a detector has to read. */
export interface Position {
  readonly at: readonly Place[]
  readonly epoch: number
  /** The history of the source that the orders are of. */
  readonly history: number
  /** The columns that counted when the entries before it were read. */
  readonly compare: string
}

/** The row of a key in the source, as far as a detector has read. */
export interface Wanted {
  readonly row: Row | null
  readonly order: Order
  /** Counts the changes of the key. The judge alone looks at it. */
  readonly version: number
}

export interface StreamChange extends Change {
  /** The slice of the run. A key has at most one change in a slice. */
  readonly slice: number
  /** The row in the source. A change that is settled may leave the destination with another row. */
  readonly wanted: Wanted
}

export type Item =
  | { readonly kind: 'change'; readonly change: StreamChange }
  /** `from`: where a successor reads on if all before this marker is there, and nothing behind it. */
  | { readonly kind: 'slice'; readonly run: number; readonly slice: number; readonly from: Position }
  | { readonly kind: 'run-end'; readonly run: number }

export interface Partition {
  changes: Item[]
  readonly retry: Topics['retry']
  readonly captured: Topics['captured']
  /** The markers that delivery has passed on: all before them is finished, with its effects. */
  finishedSlice: number
  finishedRun: number
}

export function makePartitions(count: number): readonly Partition[] {
  return Array.from({ length: count }, () => ({
    changes: [],
    retry: new Map(),
    captured: new Map(),
    finishedSlice: 0,
    finishedRun: 0,
  }))
}

/** All that a detector knows of a key. `isUndecided` is for runs. */
export interface KeyState extends Omit<Known, 'isUndecided'> {
  readonly slice: number
  readonly seq: number
  readonly wanted: Wanted
}

export type States = Map<string, KeyState>

export function stateOfChange(change: StreamChange, { retry }: Partition, partition: number): KeyState {
  const { run, slice, seq, wanted } = change
  const entry = retry.get(change.key)
  return { ...stateAfter(change, outcomeOf(change, entry)), partition, run, slice, seq, wanted }
}

/**
 * Takes changes from `from` on into the states. Delivery has finished all of them. A key that is gone may
 * come back in another partition, even in the same run: so the slice tells which of two changes is the later
 * one.
 */
export function feed(
  states: States,
  partitions: readonly Partition[],
  { from, mistake }: { readonly from: readonly number[]; readonly mistake: Mistake | null },
): States {
  for (const [index, partition] of partitions.entries()) {
    for (const item of partition.changes.slice(from[index] ?? 0)) {
      if (item.kind !== 'change') continue
      const { change } = item
      const { run, slice } = states.get(change.key) ?? { run: -1, slice: -1 }
      const isLater = change.slice >= slice || mistake === 'orders-by-run'
      if (change.run > run || (change.run === run && isLater))
        states.set(change.key, stateOfChange(change, partition, index))
    }
  }
  return states
}

/** The states from the topics alone. The cleaner may have dropped records that later ones have superseded. */
export function rebuilt(partitions: readonly Partition[], random: Random, mistake: Mistake | null): States {
  return feed(
    new Map(),
    partitions.map(partition => ({ ...partition, changes: compacted(partition.changes, random) })),
    { from: [], mistake },
  )
}

function compacted(items: readonly Item[], random: Random): Item[] {
  const last = new Map(items.map(item => [item.kind === 'change' ? item.change.key : item.kind, item]))
  return items.filter(
    item => last.get(item.kind === 'change' ? item.change.key : item.kind) === item || random.chance(0.5),
  )
}

/** The position of the newest slice of which any partition tells; null if there was none. */
export function lastPosition(partitions: readonly Partition[]): Position | null {
  const markers = partitions.flatMap(({ changes }) => {
    const last = changes.findLast(item => item.kind === 'slice')
    return last?.kind === 'slice' ? [last] : []
  })
  return markers.toSorted((a, b) => a.run - b.run || a.slice - b.slice).at(-1)?.from ?? null
}
