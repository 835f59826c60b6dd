/**
 * Random topics of a sync that streams, and at times compares tables. A state by key takes them in, in any
 * pieces that are allowed.
 */
import type { Captured, RetryEntry } from '@sluice/contracts/records'
import type { KeyStateKind, Op, Outcome } from '@sluice/contracts/state'
import type { Row } from '@sluice/contracts/values'
import type { Random } from '@sluice/testkit/random'
import { decide, transition } from '@sluice/domain/key-state'
import type { Keyed } from '../src/port.ts'
import type { StreamedChange, StreamFeed, StreamState } from '../src/stream-port.ts'
import { entryOf } from './played.ts'
import { changeOf, rowOf } from './stream-played.ts'

/** Some of them are twins. */
const KEYS = ['a', 'A', 'Á ', 'b', 'c', 'd d', 'dd', 'e', 'é', 'f'] as const
const OUTCOMES: readonly Outcome[] = ['rejected', 'unknown', 'unsent', 'exists', 'missing']
const MAX_CHANGES = 6

interface Placed<T> {
  readonly offset: number
  readonly timestamp: number
  readonly key: string
  readonly value: T | null
}

export interface Topic<T> {
  readonly records: Placed<T>[]
  end: number
}

export interface PlayedPartition {
  readonly changes: Topic<StreamedChange['change']>
  readonly retry: Topic<RetryEntry>
  readonly captured: Topic<Captured>
  /** The entries for changes that a run lost track of, by the offset of the change. */
  readonly lost: Map<number, RetryEntry>
  /** Where slices and runs end in `changes`, and how far the other topics have to be read for that. */
  readonly finished: { readonly changes: number; readonly retry: number; readonly captured: number }[]
}

interface Known {
  readonly partition: number
  readonly state: KeyStateKind
  readonly row: Row | null
}

/** Writes topics as detector and delivery do: a key has one change on its way at a time. */
export class StreamHistory {
  readonly partitions: readonly PlayedPartition[]
  readonly #random: Random
  readonly #keys: readonly string[]
  readonly #known = new Map<string, Known>()
  #run = 0
  #version = 0

  constructor(random: Random, partitions: number, keys: readonly string[] = KEYS) {
    this.#random = random
    this.#keys = keys
    const topic = () => ({ records: [], end: 0 })
    this.partitions = Array.from({ length: partitions }, () => ({
      ...{ changes: topic(), retry: topic(), captured: topic() },
      ...{ lost: new Map<number, RetryEntry>(), finished: [] },
    }))
  }

  /** One run: of some slices, or over a table. */
  run(isStream: boolean): void {
    const random = this.#random
    this.#run += 1
    const seqs = this.partitions.map(() => 0)
    const slices = isStream ? 1 + random.below(3) : 1
    for (let slice = 1; slice <= slices; slice += 1) {
      const keys = this.#keys.filter(() => random.chance(MAX_CHANGES / this.#keys.length / 2))
      for (const key of keys) {
        const partition = this.#known.get(key)?.partition ?? random.below(this.partitions.length)
        const seq = seqs[partition] ?? 0
        seqs[partition] = seq + 1
        this.#change(key, partition, { run: this.#run, seq, slice: isStream ? slice : null })
      }
      if (random.chance(0.3)) this.#endGone()
      for (const { changes, retry, captured, finished } of this.partitions)
        finished.push({ changes: changes.end, retry: retry.end, captured: captured.end })
    }
  }

  #change(
    key: string,
    partition: number,
    place: { readonly run: number; readonly seq: number; readonly slice: number | null },
  ): void {
    const random = this.#random
    const played = this.#at(partition)
    const { state, row } = this.#known.get(key) ?? { state: 'absent', row: null }
    const before = row
    const wanted = random.chance(0.3) ? null : rowOf(key, ++this.#version)
    const order = {
      epoch: place.slice === null ? 0 : 1 + Math.floor(place.run / 4),
      order: String(this.#version),
    }
    const op = decide(state, wanted !== null, true)
    if (op === null || random.chance(0.25)) {
      const states: readonly KeyStateKind[] =
        row === null ? ['absent'] : ['absent', 'present', 'content-uncertain', 'existence-uncertain']
      const settledState = random.pick(states)
      const after = settledState === 'absent' ? null : row
      const muted = random.chance(0.4) ? 'mute' : null
      const settled = {
        op: 'settled',
        settledState,
        after,
        wanted: place.slice === null ? null : wanted,
        muted,
      } as const
      this.#append(
        played.changes,
        key,
        changeOf({ key, ...place, ...order, ...settled, before, beforeState: state }),
      )
      this.#known.set(key, { partition, state: settledState, row: after })
      // A process may have died before it ended the entry and the values.
      if (random.chance(0.8)) this.#end(played.retry, key)
      if (settledState === 'absent' && random.chance(0.8)) this.#end(played.captured, key)
      return
    }
    const change = changeOf({ key, ...place, ...order, op, before, beforeState: state, after: wanted })
    this.#append(played.changes, key, change)
    if (random.chance(0.3)) {
      const values = `{"id":${this.#version}}`
      this.#append(played.captured, key, {
        incarnation: 'i',
        owner: 0,
        run: place.run,
        seq: place.seq,
        values,
      })
    }
    const outcome = this.#outcome(key, played, { ...place, op })
    const next = transition(state, op, outcome)
    this.#known.set(key, {
      partition,
      state: next.state,
      row: next.row === 'after' ? wanted : next.row === 'before' ? before : null,
    })
    if (next.state === 'absent' && random.chance(0.8)) this.#end(played.captured, key)
  }

  /** Writes what becomes of the change that was appended last. */
  #outcome(
    key: string,
    played: PlayedPartition,
    of: { readonly op: Op; readonly run: number; readonly seq: number },
  ): Outcome {
    const random = this.#random
    if (random.chance(0.6)) {
      this.#end(played.retry, key)
      return 'delivered'
    }
    const outcome = random.pick(OUTCOMES)
    const entry = { ...entryOf(of.op, outcome, of), status: random.pick([404, 500, null]), since: of.run }
    if (random.chance(0.1)) {
      played.lost.set(lastOf(played.changes, key)?.offset ?? -1, { ...entry, outcome: 'unknown' })
      return 'unknown'
    }
    this.#append(played.retry, key, entry)
    return outcome
  }

  /** Ends keys that are gone, so that they may come back elsewhere. */
  #endGone(): void {
    for (const [key, { partition, state }] of this.#known) {
      const { changes, retry, captured, lost } = this.#at(partition)
      const isOpen = [retry, captured].some(topic => (lastOf<unknown>(topic, key)?.value ?? null) !== null)
      const last = lastOf(changes, key)
      const leavesNothing = last?.value?.op === 'removed' || last?.value?.settledState === 'absent'
      if (
        state !== 'absent' ||
        isOpen ||
        !leavesNothing ||
        last.value?.muted !== null ||
        lost.has(last.offset)
      )
        continue
      this.#append(changes, key, null)
      this.#known.delete(key)
    }
  }

  #at(partition: number): PlayedPartition {
    const played = this.partitions[partition]
    if (played === undefined) throw new Error(`there is no partition ${partition}`)
    return played
  }

  #append<T>(topic: Topic<T>, key: string, value: T | null): void {
    topic.records.push({ offset: topic.end++, timestamp: this.#run * 1000 + topic.end, key, value })
    // Markers take offsets, too.
    if (this.#random.chance(0.1)) topic.end += 1
  }

  #end<T>(topic: Topic<T>, key: string): void {
    if ((lastOf(topic, key)?.value ?? null) !== null) this.#append(topic, key, null)
  }
}

function lastOf<T>(topic: Topic<T>, key: string): Placed<T> | undefined {
  return topic.records.findLast(record => record.key === key)
}

/** Returns what compaction may leave of the topics. */
export function compactedPartition(played: PlayedPartition, random: Random): PlayedPartition {
  return {
    ...played,
    changes: compacted(played.changes, random),
    retry: compacted(played.retry, random),
    captured: compacted(played.captured, random),
  }
}

function compacted<T>(topic: Topic<T>, random: Random): Topic<T> {
  const last = new Map(topic.records.map(record => [record.key, record]))
  const gone = new Set(
    [...last.values()].filter(({ value }) => value === null && random.chance(0.5)).map(({ key }) => key),
  )
  const records = topic.records.filter(
    record => !gone.has(record.key) && (last.get(record.key) === record || random.chance(0.4)),
  )
  return { records, end: topic.end }
}

/**
 * Takes in what the state has not yet, up to a place where all is finished; the partitions in any order and
 * in pieces. Entries and values come no later than changes that they are of.
 */
export function catchUp(
  states: readonly StreamState[],
  partitions: readonly PlayedPartition[],
  {
    random,
    upTo = Infinity,
    onTaken,
  }: { readonly random: Random; readonly upTo?: number; readonly onTaken?: () => void },
): void {
  const [first] = states
  if (first === undefined) return
  const left = partitions.map((_, partition) => partition)
  while (left.length > 0) {
    const partition = random.pick(left)
    const played = partitions[partition]
    const target = played?.finished[Math.min(upTo, played.finished.length - 1)]
    if (played === undefined || target === undefined) return
    const feed = nextPiece(first, { played, partition, target, random })
    if (feed === null) left.splice(left.indexOf(partition), 1)
    else {
      for (const state of states) state.take(feed)
      onTaken?.()
    }
  }
}

function nextPiece(
  state: StreamState,
  at: {
    readonly played: PlayedPartition
    readonly partition: number
    readonly target: PlayedPartition['finished'][number]
    readonly random: Random
  },
): StreamFeed | null {
  const { played, partition, target, random } = at
  const positions = state.positions()
  const from = (name: 'changes' | 'retry' | 'captured'): number => positions[name][partition] ?? 0
  if (
    from('changes') >= target.changes &&
    from('retry') >= target.retry &&
    from('captured') >= target.captured
  )
    return null
  const whole = random.chance(0.4)
  const readsMore = !whole && (from('retry') < target.retry || from('captured') < target.captured)
  const end = (name: 'retry' | 'captured'): number => {
    // Records behind the target may come early.
    const last = Math.max(
      from(name),
      target[name] + (random.chance(0.3) ? random.below(played[name].end - target[name] + 1) : 0),
    )
    return readsMore && random.chance(0.5) ? from(name) + random.below(last - from(name) + 1) : last
  }
  const [retryEnd, capturedEnd] = [end('retry'), end('captured')]
  const isReady = retryEnd >= target.retry && capturedEnd >= target.captured
  const changesEnd = isReady
    ? whole
      ? Math.max(from('changes'), target.changes)
      : from('changes') + random.below(Math.max(0, target.changes - from('changes')) + 1)
    : from('changes')
  const changes = between(played.changes, from('changes'), changesEnd)
  const lost = changes.flatMap(({ offset, key }) => {
    const isLast = changes.findLast(change => change.key === key)?.offset === offset
    const value = played.lost.get(offset)
    return value !== undefined && isLast ? [{ key, value }] : []
  })
  return {
    partition,
    changes: {
      records: changes.map(({ offset, timestamp, key, value }) =>
        value === null ? { offset, key, change: null } : { offset, timestamp, change: value },
      ),
      nextOffset: changesEnd,
    },
    ...(lost.length > 0 ? { lost } : {}),
    retry: { records: between(played.retry, from('retry'), retryEnd), nextOffset: retryEnd },
    captured: {
      records: keyed(between(played.captured, from('captured'), capturedEnd)),
      nextOffset: capturedEnd,
    },
  }
}

function between<T>(topic: Topic<T>, from: number, end: number): readonly Placed<T>[] {
  return topic.records.filter(({ offset }) => offset >= from && offset < end)
}

function keyed<T>(records: readonly Placed<T>[]): readonly Keyed<T>[] {
  return records.map(({ key, value }) => ({ key, value }))
}

/** All that a state says of its keys, for comparisons. */
export function toldBy(state: StreamState, random: Random): object {
  const run = 1 + random.below(8)
  const upToSlices = random.chance(0.5) ? null : [random.below(3), random.below(3), random.below(3)]
  const command = {
    upTo: run,
    upToSlices,
    key: random.chance(0.8) ? null : 'a',
    status: random.pick([null, null, 4, 500]),
  }
  return {
    keys: state.inOrder(null, 1_000),
    some: state.inOrder(random.pick(KEYS), 2),
    of: state.of(KEYS),
    twins: new Map(
      [...state.twinsOf([...KEYS, 'D D', 'zz'])].map(([key, all]) => [
        key,
        all.map(twin => twin.key).toSorted(),
      ]),
    ),
    due: state.failedBefore(run * 1000, 1_000),
    all: state.failedBefore(Infinity, 3),
    oldest: state.oldestFailure(),
    meant: (['resync', 'retry', 'discard'] as const).map(kind =>
      state.meant({ kind, ...command }, null, 1_000),
    ),
    behind: state.meant({ kind: 'retry', ...command }, 'b', 2),
    count: state.count(),
  }
}
