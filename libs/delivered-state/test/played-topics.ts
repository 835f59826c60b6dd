/** The topics of a played sync: what is written to them, what compaction leaves, how they are fed. */
import { expect } from 'vitest'
import type { Captured, RetryEntry } from '@sluice/contracts/records'
import type { DeliveredState, Keyed, PlacedChange, StateFeed } from '../src/port.ts'

export interface Topic<T> {
  readonly records: { readonly offset: number; readonly key: string; readonly value: T }[]
  end: number
}

export interface Topics {
  /** A null value is the tombstone of a key that is gone. */
  readonly changes: Topic<PlacedChange['change'] | null>
  readonly retry: Topic<RetryEntry | null>
  readonly captured: Topic<Captured | null>
}

/** The time at which a run's changes were written. */
export function timeOf(run: number): number {
  return run * 1000
}

/** Adds a record at the topic's end. */
export function append<T>(topic: Topic<T>, key: string, value: T): void {
  topic.records.push({ offset: topic.end++, key, value })
}

/**
 * Returns the records that compaction may leave of a topic for a reader that starts at its beginning: the
 * last record of each key, and some older ones. Of a key that ends with a tombstone it may leave nothing.
 */
function compacted<T>(topic: Topic<T>, random: () => number): Topic<T> {
  const last = new Map(topic.records.map(record => [record.key, record]))
  const gone = new Set(
    [...last.values()].filter(({ value }) => value === null && random() < 0.5).map(r => r.key),
  )
  const records = topic.records.filter(
    record => !gone.has(record.key) && (last.get(record.key) === record || random() < 0.3),
  )
  return { records, end: topic.end }
}

export function compactTopics({ changes, retry, captured }: Topics, random: () => number): Topics {
  return {
    changes: compacted(changes, random),
    retry: compacted(retry, random),
    captured: compacted(captured, random),
  }
}

export function emptyTopics(): Topics {
  const topic = () => ({ records: [], end: 0 })
  return { changes: topic(), retry: topic(), captured: topic() }
}

/**
 * Feeds what the state has not yet, in stretches of random length, those of all partitions of all topics
 * mixed at random, and commits.
 */
export async function feedTopics(
  state: DeliveredState,
  all: readonly Topics[],
  random: () => number,
): Promise<void> {
  const positions = await state.positions()
  const feeds = all.flatMap((topics, partition) => {
    const changes = stretches(topics.changes, positions.changes[partition] ?? 0, random)
    const retry = stretches(topics.retry, positions.retry[partition] ?? 0, random)
    const captured = stretches(topics.captured, positions.captured[partition] ?? 0, random)
    return [
      changes.map(({ records, nextOffset }): StateFeed => {
        const placed = records.map(({ offset, key, value }) =>
          value === null
            ? { offset, key, change: null }
            : { offset, timestamp: timeOf(value.run), change: value },
        )
        return { partition, changes: { records: placed, nextOffset } }
      }),
      retry.map(({ records, nextOffset }): StateFeed => {
        return { partition, retry: { records: keyed(records), nextOffset } }
      }),
      captured.map(({ records, nextOffset }): StateFeed => {
        return { partition, captured: { records: keyed(records), nextOffset } }
      }),
    ]
  })
  while (feeds.some(feed => feed.length > 0)) {
    const waiting = feeds.filter(feed => feed.length > 0)
    const next = waiting[Math.floor(random() * waiting.length)]?.shift()
    if (next !== undefined) await state.feed(next)
  }
  await state.commit()
  const after = await state.positions()
  for (const [partition, topics] of all.entries()) {
    expect(after.changes[partition]).toBe(topics.changes.end)
    const from = positions.changes[partition] ?? 0
    const last = topics.changes.records.findLast(({ offset, value }) => offset >= from && value !== null)
    const { run, seq } = last?.value ?? {}
    const place = last === undefined ? positions.lastChange[partition] : { offset: last.offset, run, seq }
    expect(after.lastChange[partition]).toEqual(place)
  }
}

interface Stretch<T> {
  readonly records: Topic<T>['records']
  readonly nextOffset: number
}

function stretches<T>(topic: Topic<T>, from: number, random: () => number): Stretch<T>[] {
  const stretches: Stretch<T>[] = []
  let at = from
  while (at < topic.end) {
    const end = Math.min(topic.end, at + 1 + Math.floor(random() * 6))
    const start = at
    const records = topic.records.filter(r => r.offset >= start && r.offset < end)
    stretches.push({ records, nextOffset: end })
    at = end
  }
  return stretches
}

function keyed<T>(records: readonly { readonly key: string; readonly value: T | null }[]): Keyed<T>[] {
  return records.map(({ key, value }) => ({ key, value }))
}
