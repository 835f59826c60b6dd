/** Reads the topics of a sync once its runs have ended. It uses no reader of a stage. */
import type { Attempt, Change, Request, RetryEntry, Unrenderable } from '@sluice/contracts/records'
import type { Placed } from '@sluice/topics/owned-reader'
import { at, isMarkerKey, keyText, syncTopics } from '@sluice/topics/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import type { TestLog } from '@sluice/testkit/test-log'

export type PlacedChange = Change & { readonly partition: number }
export type PlacedEntry = RetryEntry & { readonly partition: number; readonly key: string }
export type PlacedRequest = (Request | Unrenderable) & {
  readonly partition: number
  readonly offset: number
}
export type PlacedAttempt = Attempt & { readonly partition: number }

export interface Topics {
  readonly changes: readonly PlacedChange[]
  /** Every entry that was ever written, in the order of its partition. */
  readonly entries: readonly PlacedEntry[]
  readonly requests: readonly PlacedRequest[]
  readonly attempts: readonly PlacedAttempt[]
  /** Keys that have, or had, a record in `retry` or `captured`. */
  readonly held: ReadonlySet<string>
}

/** Reads all of it. Nobody writes meanwhile. */
export async function readTopics(
  { read, prefix }: Pick<TestLog, 'read' | 'prefix'>,
  { partitions, incarnation }: { readonly partitions: number; readonly incarnation: string },
): Promise<Topics> {
  const { changes, requests, attempts, retry, captured } = syncTopics(prefix, SYNC)
  const all = async <T>(topic: string, of: (placed: Placed, partition: number) => readonly T[]) => {
    const numbers = Array.from({ length: partitions }, (_, partition) => partition)
    const each = await Promise.all(
      numbers.map(async partition => {
        const placed = await read(at(topic, partition))
        return placed.flatMap(one => of(one, partition))
      }),
    )
    return each.flat()
  }
  const isOwn = (value: { readonly incarnation: string }): boolean => value.incarnation === incarnation
  const keyOf = ({ key }: Placed): readonly string[] => (isMarkerKey(key) ? [] : [keyText(key)])
  return {
    changes: await all(changes, ({ record }, partition) =>
      record?.name === 'sluice.Change' && isOwn(record.value) ? [{ ...record.value, partition }] : [],
    ),
    requests: await all(requests, ({ record, offset }, partition) =>
      (record?.name === 'sluice.Request' || record?.name === 'sluice.Unrenderable') && isOwn(record.value)
        ? [{ ...record.value, partition, offset }]
        : [],
    ),
    attempts: await all(attempts, ({ record }, partition) =>
      record?.name === 'sluice.Attempt' && isOwn(record.value) ? [{ ...record.value, partition }] : [],
    ),
    entries: await all(retry, ({ record, key }, partition) =>
      record?.name === 'sluice.RetryEntry' && isOwn(record.value)
        ? [{ ...record.value, partition, key: keyText(key) }]
        : [],
    ),
    held: new Set([...(await all(retry, keyOf)), ...(await all(captured, keyOf))]),
  }
}

/** The entry that says that a change was not delivered; undefined for one that was. */
export function entryOf(
  entries: readonly PlacedEntry[],
  { key, partition, run, seq }: Pick<PlacedChange, 'key' | 'partition' | 'run' | 'seq'>,
): PlacedEntry | undefined {
  return entries.findLast(
    entry => entry.key === key && entry.partition === partition && entry.run === run && entry.seq === seq,
  )
}
