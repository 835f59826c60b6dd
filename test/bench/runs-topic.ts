/**
 * Measures how much of the topic `runs` a starting process reads, after a month of many syncs that run every
 * five minutes. It compares the topic as Sluice keeps it (PROTOCOL.md §1) with Kafka's defaults, under which
 * runs would stay for 30 days and the cleaner would come once a week. It writes the records to a real topic
 * as the cleaner leaves them, and reads them with the view that each process has.
 *
 * Run: node test/bench/runs-topic.ts [--syncs N] [--days N]. SLUICE_KAFKA_BROKERS and
 * SLUICE_SCHEMA_REGISTRY_URL name the services. Without them, the benchmark starts its own.
 */
import { parseArgs } from 'node:util'
import type { PartitionEnd, RunEvent } from '@sluice/contracts/records'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import type { MessageLog, NewRecord } from '@sluice/message-log/port'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { EndsOfRuns } from '@sluice/runs/ends-of-runs'
import { RecordIo } from '@sluice/topics/record-io'
import { runEventRecord } from '@sluice/runs/run-event-record'
import { RunsView } from '@sluice/runs/runs-view'
import { plainMarker } from '@sluice/partition/take-over'
import {
  at,
  homePartition,
  markerKey,
  reportKey,
  runKey,
  SHARED_PARTITIONS,
  sharedTopics,
  sharedTopicSpecs,
} from '@sluice/topics/topics'
import { INCARNATION, sampleCounts, sampleEvent, sampleReport } from '@sluice/testkit/sample-records'
import { startServices } from '../../deploy/local/services.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const EVERY_MS = 5 * MINUTE_MS
const PARTITIONS = 4
const LAST_RUNS = 50
const APPEND_RECORDS = 2_000

const { values } = parseArgs({
  options: { syncs: { type: 'string', default: '50' }, days: { type: 'string', default: '30' } },
})
const SYNCS = Array.from({ length: Number(values.syncs) }, (_, n) => `sync-${n}`)
const RUNS = Math.floor((Number(values.days) * DAY_MS) / EVERY_MS)
const NOW = RUNS * EVERY_MS
const { signal } = new AbortController()

/** Counts the records of a run, and the tombstones, that are still in the topic. */
interface Kept {
  /** True if the topic has all records of the run, not only its end. */
  readonly whole: (run: number) => boolean
  /** True if the topic has the event with the run's end. */
  readonly event: (run: number) => boolean
  /** The earlier runs whose tombstones were written when this run ended. */
  readonly tombstones: (run: number) => readonly number[]
}

/** The cleaner has compacted all records older than a week, and a run stays for a month. */
const MONTH: Kept = {
  whole: run => NOW - run * EVERY_MS < 7 * DAY_MS,
  event: run => NOW - run * EVERY_MS < 30 * DAY_MS,
  tombstones: () => [],
}

/**
 * The topic as Sluice keeps it. Besides live records it has tombstones of at most a day, and records that the
 * cleaner had no time for yet.
 */
function asItIs(): Kept {
  // Segments are closed after an hour, and cleaned an hour later at most; tombstones stay for a day after
  // that.
  const cleanedBefore = NOW - 2 * HOUR_MS
  const tombstonesFrom = cleanedBefore - DAY_MS
  const ends = new EndsOfRuns()
  const forgottenAt = new Map<number, number>()
  const tombstones = new Map<number, number[]>()
  const remembered = new Set<number>()
  for (let run = 0; run < RUNS; run += 1) {
    remembered.add(run)
    ends.add(`${run}`, endsOf(run), run * EVERY_MS)
    for (const old of remembered) {
      if (run * EVERY_MS - old * EVERY_MS < HOUR_MS || run - old < LAST_RUNS) break
      if (ends.has(`${old}`)) continue
      remembered.delete(old)
      forgottenAt.set(old, run * EVERY_MS)
      tombstones.set(run, [...(tombstones.get(run) ?? []), old])
    }
  }
  return {
    whole: run => run * EVERY_MS >= cleanedBefore,
    event: run => (forgottenAt.get(run) ?? Infinity) >= cleanedBefore,
    tombstones: run => (run * EVERY_MS >= tombstonesFrom ? (tombstones.get(run) ?? []) : []),
  }
}

function endsOf(run: number): readonly PartitionEnd[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, requests: run, attempts: run }))
}

function eventsOf(sync: string, run: number): readonly RunEvent[] {
  const counts = { changed: sampleCounts({ detected: 100, delivered: 100, requests: 1, attempts: 1 }) }
  const runId = `01JD${String(run).padStart(22, '0')}`
  const definition = 'a'.repeat(64)
  const common = { sync, runId, command: run, partitions: PARTITIONS, queuedAt: run * EVERY_MS }
  const running = { ...common, run, definition, startedAt: run * EVERY_MS }
  const over = { status: 'success', complete: true, rowsRead: 1_000_000, endedAt: run * EVERY_MS } as const
  return [
    sampleEvent({ ...common, run: null, status: 'queued' }),
    sampleEvent({ ...running, status: 'running' }),
    sampleEvent({ ...running, counts, complete: true, status: 'running' }),
    sampleEvent({ ...running, ...over, counts, ends: endsOf(run) }),
  ]
}

function recordsOf(io: RecordIo, sync: string, run: number, kept: Kept): readonly NewRecord[] {
  const events = eventsOf(sync, run)
  const tombstones = kept.tombstones(run).map(old => {
    const [event] = eventsOf(sync, old)
    return { key: runKey(sync, event?.runId ?? ''), value: null }
  })
  if (!kept.whole(run))
    return [
      ...(kept.event(run) ? events.slice(-1).map(event => runEventRecord(io, event)) : []),
      ...tombstones,
    ]
  const marker = io.encode('Marker', plainMarker('takeover', INCARNATION, -1))
  const report = (partition: number, ended: boolean): NewRecord => ({
    key: reportKey(sync, partition),
    value: io.encode('PartitionReport', sampleReport({ sync, run, partition, ended })),
  })
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
  return [
    { key: markerKey('takeover', `changes/${sync}/0`), value: marker },
    ...events.slice(0, -1).map(event => runEventRecord(io, event)),
    ...partitions.flatMap(partition => [
      { key: markerKey('takeover', `attempts/${sync}/${partition}`), value: marker },
      report(partition, false),
      report(partition, true),
    ]),
    ...events.slice(-1).map(event => runEventRecord(io, event)),
    ...tombstones,
  ]
}

interface Figures {
  readonly what: string
  readonly records: number
  readonly megabytes: number
  readonly seconds: number
  readonly runsKnown: number
}

async function measure(
  log: MessageLog,
  io: RecordIo,
  of: { readonly what: string; readonly prefix: string; readonly kept: Kept },
): Promise<Figures> {
  const { what, prefix, kept } = of
  await log.ensureTopics(sharedTopicSpecs(prefix), { signal })
  const { runs } = sharedTopics(prefix)
  let records = 0
  let bytes = 0
  const pending = new Map<number, NewRecord[]>()
  const flush = async (partition: number): Promise<void> => {
    const batch = pending.get(partition) ?? []
    pending.delete(partition)
    if (batch.length > 0) await log.append(at(runs, partition), batch, { signal })
  }
  for (let run = 0; run < RUNS; run += 1)
    for (const sync of SYNCS) {
      const partition = homePartition(sync)
      const batch = pending.get(partition) ?? []
      pending.set(partition, batch)
      for (const record of recordsOf(io, sync, run, kept)) {
        batch.push(record)
        records += 1
        bytes += record.key.length + (record.value?.length ?? 0)
      }
      if (batch.length >= APPEND_RECORDS) await flush(partition)
    }
  for (const partition of [...pending.keys()]) await flush(partition)
  const started = performance.now()
  await using view = await RunsView.open({ log, io, prefix }, { signal })
  const partitions = Array.from({ length: SHARED_PARTITIONS }, (_, partition) => partition)
  await Promise.all(partitions.map(partition => view.caughtUp(partition, { signal })))
  const seconds = (performance.now() - started) / 1_000
  const runsKnown = [...view.all()].reduce((sum, each) => sum + each.events.size, 0)
  return { what, records, megabytes: bytes / 1e6, seconds, runsKnown }
}

const { SLUICE_KAFKA_BROKERS: givenBrokers, SLUICE_SCHEMA_REGISTRY_URL: givenRegistry } = process.env
await using services = await startServices(
  givenBrokers === undefined || givenRegistry === undefined ? ['kafka', 'registry'] : [],
  { sustainedKafka: true },
)
const brokers = (givenBrokers ?? services.get('kafka').address).split(',')
await using codec = createRegistryCodec({
  url: givenRegistry ?? services.get('registry').address,
  clientId: 'bench',
})
await using log = createKafkaLog({ brokers, clientId: 'bench' })
const prefix = `bench-${process.pid}`
const io = await RecordIo.open(codec, prefix, { signal })
const month = await measure(log, io, {
  what: 'a month of runs, a week uncleaned',
  prefix: `${prefix}-m`,
  kept: MONTH,
})
const now = await measure(log, io, { what: 'as it is', prefix: `${prefix}-n`, kept: asItIs() })
process.stdout.write(`${SYNCS.length} syncs, ${RUNS * SYNCS.length} runs, ${values.days} days\n`)
for (const { what, records, megabytes, seconds, runsKnown } of [month, now])
  process.stdout.write(
    `${what}: ${records} records, ${megabytes.toFixed(1)} MB, read in ${seconds.toFixed(2)} s; ${runsKnown} runs known\n`,
  )
