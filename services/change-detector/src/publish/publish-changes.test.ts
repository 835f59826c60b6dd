import { describe, expect, it } from 'vitest'
import { isSluiceError } from '@sluice/contracts/errors'
import type { DetectedChange, Diff, EndedKey } from '@sluice/delivered-state/port'
import type { FencedWriter } from '@sluice/message-log/port'
import { recordsOf } from '@sluice/message-log/record-block'
import type { Encoder, SchemaCodec } from '@sluice/schema-codec/port'
import { RecordIo } from '@sluice/topics/record-io'
import { Ownership } from '@sluice/partition/take-over'
import { isMarkerKey, keyText, syncTopics } from '@sluice/topics/topics'
import { publishChanges } from './publish-changes.ts'

const PARTITIONS = 3
const topics = syncTopics('sluice', 's')
const { signal } = new AbortController()

/** Records as JSON, so that a test can read them. */
const encoder: Encoder = {
  schemaId: 1,
  encode: value => new TextEncoder().encode(JSON.stringify(value)),
  frame: () => ({ parts: [], bytes: 0 }),
  rows: () => {
    throw new Error('no rows come by column')
  },
}
const codec: SchemaCodec = {
  encoder: () => Promise.resolve(encoder),
  decode: () => Promise.reject(new Error('nothing is read')),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

interface Written {
  readonly topic: string
  readonly partition: number
  /** A key, or the kind of a marker. */
  readonly what: string
  readonly value: { readonly seq?: number; readonly count?: number; readonly op?: string } | null
}

/** The records that are appended, batch after batch, in the order in which the log acknowledges them. */
function recordingOwner(written: Written[]): Ownership {
  const writer: FencedWriter = {
    id: 'w',
    state: 'open',
    async append({ topic, partition }, records) {
      await Promise.resolve()
      for (const { key, value } of recordsOf(records))
        written.push({
          topic,
          partition,
          what: isMarkerKey(key) ? keyText(key.subarray(1)).replace(/\/.*/, '') : keyText(key),
          value:
            value === null ? null : JSON.parse(new TextDecoder('utf-8', { ignoreBOM: true }).decode(value)),
        })
      return { baseOffset: 0 }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const targets = [topics.changes, topics.retry, topics.captured].flatMap(topic =>
    [0, 1, 2].map(p => `${topic}/${p}`),
  )
  return new Ownership(writer, 'i', { markers: new Map(targets.map(target => [target, 0])) })
}

interface Batch {
  readonly changes: readonly DetectedChange[]
  readonly endsRetry?: readonly EndedKey[]
}

async function* changesOf(batches: readonly Batch[]) {
  for (const { changes, endsRetry = [] } of batches) yield await Promise.resolve({ changes, endsRetry })
}

async function publish(batches: readonly Batch[], blockRows = 100): Promise<readonly Written[]> {
  const written: Written[] = []
  const owner = recordingOwner(written)
  const diff: Diff = {
    rowsRead: 0,
    rowsInvalid: 0,
    invalidSamples: [],
    counts: {},
    settled: 0,
    keysBefore: 0,
    columns: [],
    retyped: [],
    adopted: { rows: 0, columns: [] },
    muted: 0,
    undecided: 0,
    removalsFirst: false,
    removedSamples: [],
    changes: () => changesOf(batches),
    changesByColumn: () => changesOf(batches),
  }
  const complete = await publishChanges(diff, {
    io: await RecordIo.open(codec, 'sluice', { signal }),
    ownership: { incarnation: 'i', partitions: PARTITIONS, topics, of: () => owner },
    begin: { run: 7, runId: 'r', definition: 'd', startedAt: 0, first: false },
    encoder,
    blockRows: () => blockRows,
    cancel: signal,
    abort: signal,
  })
  expect(complete).toBe(true)
  return written
}

function changes(
  op: DetectedChange['op'],
  keys: readonly string[],
  partition: number | null = null,
): DetectedChange[] {
  const rest = {
    before: null,
    after: null,
    settledState: null,
    muted: null,
    captured: null,
    retried: null,
  }
  return keys.map(key => ({ op, key, partition, beforeState: 'absent', ...rest }))
}

const numbered = (count: number, prefix = 'k'): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`)

const inPartition = (written: readonly Written[], partition: number, topic = topics.changes): string[] =>
  written.filter(w => w.topic === topic && w.partition === partition).map(w => w.what)

describe('publishing the changes of a run', () => {
  it('puts a few new rows together into the first partition, and the run into all', async () => {
    const written = await publish([{ changes: changes('added', ['a', 'b', 'c', 'd']) }])
    expect(inPartition(written, 0)).toEqual(['run-begin', 'a', 'b', 'c', 'd', 'run-end'])
    expect(inPartition(written, 1)).toEqual(['run-begin', 'run-end'])
    expect(inPartition(written, 2)).toEqual(['run-begin', 'run-end'])
  })

  it('goes on with a block where the batch of the diff before it ended', async () => {
    const keys = numbered(5)
    const batches = keys.map(key => ({ changes: changes('added', [key]) }))
    const written = await publish(batches, 2)
    expect([0, 1, 2].map(p => inPartition(written, p).slice(1, -1))).toEqual([
      ['k0', 'k1'],
      ['k2', 'k3'],
      ['k4'],
    ])
  })

  it('leaves keys where they are, with a gapless seq in each partition and the count of each at its end', async () => {
    const written = await publish(
      [
        { changes: changes('settled', ['s'], 2) },
        { changes: changes('removed', ['r1', 'r2'], 1) },
        { changes: [...changes('changed', ['c1'], 2), ...changes('changed', ['c2'], 1)] },
        { changes: [...changes('added', ['a1'], 2), ...changes('added', numbered(1500))] },
      ],
      100,
    )
    expect(inPartition(written, 1).slice(0, 5)).toEqual(['run-begin', 'r1', 'r2', 'c2', 'k100'])
    expect(inPartition(written, 2).slice(0, 5)).toEqual(['run-begin', 's', 'c1', 'a1', 'k200'])
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const own = written.filter(w => w.topic === topics.changes && w.partition === partition)
      const seqs = own.slice(1, -1).map(w => w.value?.seq)
      expect(seqs).toEqual(seqs.map((_, i) => i))
      expect(own.at(-1)).toMatchObject({ what: 'run-end', value: { count: seqs.length } })
      const order = ['settled', 'removed', 'changed', 'added']
      const ops = own.slice(1, -1).map(w => order.indexOf(w.value?.op ?? ''))
      expect(ops).toEqual([...ops].sort((a, b) => a - b))
    }
  })

  it('ends a retry entry in its own partition, once the settled change is acknowledged', async () => {
    const written = await publish([
      {
        changes: [...changes('settled', ['x'], 2), ...changes('settled', ['y'], 1)],
        endsRetry: [
          { partition: 2, key: 'x' },
          { partition: 1, key: 'y' },
        ],
      },
    ])
    expect([0, 1, 2].map(p => inPartition(written, p, topics.retry))).toEqual([[], ['y'], ['x']])
    for (const key of ['x', 'y']) {
      const found = written.filter(w => w.what === key)
      expect(found.map(w => [w.topic, w.value === null])).toEqual([
        [topics.changes, false],
        [topics.retry, true],
      ])
    }
  })

  it('ends captured values of a row that it settles as gone, once that is acknowledged, and no others', async () => {
    const values = { captured: '{"id":1}', beforeState: 'present' } as const
    const settled = (key: string, of: Partial<DetectedChange>): DetectedChange[] =>
      changes('settled', [key], 1).map(change => ({ ...change, ...values, ...of }))
    const written = await publish([
      {
        changes: [
          ...settled('gone', { settledState: 'absent' }),
          ...settled('stays', { settledState: 'present' }),
          ...settled('bare', { settledState: 'absent', captured: null }),
        ],
      },
      { changes: changes('removed', ['sent'], 1).map(change => ({ ...change, ...values })) },
    ])
    expect(inPartition(written, 1, topics.captured)).toEqual(['gone'])
    const gone = written.filter(({ what }) => what === 'gone')
    expect(gone).toMatchObject([{ topic: topics.changes }, { topic: topics.captured, value: null }])
  })

  it('ends what a row that is gone has left behind before the key begins again, without it', async () => {
    const [added] = changes('added', ['again'], 1)
    if (added === undefined) throw new Error('there is no change')
    const written = await publish([{ changes: [{ ...added, captured: '{"id":1}' }] }])
    const again = written.filter(({ what }) => what === 'again')
    expect(again).toMatchObject([
      { topic: topics.captured, partition: 1, value: null },
      { topic: topics.changes, partition: 1, value: { captured: null } },
    ])
  })

  it('has the log acknowledge a doubt in any partition before a removal that it is about', async () => {
    const doubt = { beforeState: 'present', settledState: 'content-uncertain' } as const
    const written = await publish([
      { changes: changes('settled', ['ann'], 2).map(change => ({ ...change, ...doubt })) },
      { changes: changes('removed', ['Ann'], 0) },
    ])
    expect(written.map(({ what }) => what).filter(what => /^ann$/i.test(what))).toEqual(['ann', 'Ann'])
  })

  it('refuses a partition that is none, instead of losing the change', async () => {
    const refused = await publish([{ changes: changes('changed', ['c'], PARTITIONS) }]).catch(
      (error: unknown) => error,
    )
    expect(isSluiceError(refused, 'internal')).toBe(true)
  })
})
