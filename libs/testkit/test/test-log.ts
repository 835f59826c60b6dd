/** A real log, in a folder that is removed with it, and the parts that every stage has on top of it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import type { MessageLog, NewRecord, TopicPartition } from '@sluice/message-log/port'
import type { SchemaCodec } from '@sluice/schema-codec/port'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { decodeEach, type Placed } from '@sluice/topics/owned-reader'
import { RecordIo } from '@sluice/topics/record-io'
import { RunsView } from '@sluice/runs/runs-view'
import { Definitions } from '@sluice/resources/stored-documents'
import { sharedTopicSpecs, syncTopicSpecs } from '@sluice/topics/topics'
import { SYNC } from './sample-records.ts'

export const PREFIX = 'test'

const never = new AbortController().signal

export interface TestLog extends AsyncDisposable {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly runs: RunsView
  readonly definitions: Definitions
  /** The file of a log that was not given. */
  readonly file: string
  /** An empty folder beside the log. */
  readonly folder: string
  append(target: TopicPartition, records: readonly NewRecord[]): Promise<number>
  /** All records that a partition holds now. */
  read(target: TopicPartition): Promise<readonly Placed[]>
  /** Follows a partition from its start until it holds enough. */
  readUntil(target: TopicPartition, enough: (found: readonly Placed[]) => boolean): Promise<readonly Placed[]>
}

/** A log and schemas other than those of a SQLite file, under a prefix that no other test uses. */
export interface TestLogAdapters {
  readonly prefix: string
  readonly log: MessageLog
  readonly codec: SchemaCodec
}

/**
 * Opens a log with the shared topics, and those of the sample sync with so many partitions (0: none). A given
 * log is closed with it.
 */
export async function openTestLog(options: {
  readonly partitions: number
  readonly adapters?: TestLogAdapters | undefined
  /** The place in which its folder is made; default: the system's folder for temporary files. */
  readonly under?: string | undefined
}): Promise<TestLog> {
  await using opening = new AsyncDisposableStack()
  const { partitions, adapters, under = tmpdir() } = options
  const home = await mkdtemp(join(under, 'sluice-test-'))
  opening.defer(() => rm(home, { recursive: true, force: true }))
  const file = join(home, 'log.db')
  const log = opening.use(adapters?.log ?? createSqliteLog({ file }))
  const codec = opening.use(adapters?.codec ?? createSqliteCodec({ file }))
  const prefix = adapters?.prefix ?? PREFIX
  const io = await RecordIo.open(codec, prefix, { signal: never })
  const own = partitions === 0 ? [] : syncTopicSpecs(prefix, SYNC, partitions)
  await log.ensureTopics([...sharedTopicSpecs(prefix), ...own], { signal: never })
  const shared = { log, io, prefix }
  const runs = opening.use(await RunsView.open(shared, { signal: never }))
  const follow = async (target: TopicPartition, of: Following): Promise<readonly Placed[]> => {
    const found: Placed[] = []
    for await (const batch of log.read(target, { ...of.range, signal: never })) {
      for (const placed of await decodeEach(io, batch.records, never)) {
        if (placed.torn !== undefined) throw placed.torn
        found.push(placed)
      }
      if (of.enough(found)) break
    }
    return found
  }
  const opened = opening.move()
  return {
    ...shared,
    runs,
    definitions: new Definitions(shared),
    file,
    folder: await mkdtemp(join(home, 'folder-')),
    append: async (target, records) => (await log.append(target, records, { signal: never })).baseOffset,
    read: async target => {
      const { low, end } = await log.offsets(target, { signal: never })
      return low === end ? [] : follow(target, { range: { from: low, to: end }, enough: () => false })
    },
    readUntil: async (target, enough) => {
      const { low } = await log.offsets(target, { signal: never })
      return follow(target, { range: { from: low }, enough })
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

interface Following {
  readonly range: { readonly from: number; readonly to?: number }
  readonly enough: (found: readonly Placed[]) => boolean
}
