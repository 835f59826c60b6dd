/**
 * Detects changes as the change-detector does, with its topics in a SQLite log and its state in a DuckDB
 * file. Prints the figures as JSON. Each part is a process of its own, as in production, and finds in a
 * folder the files of the part before. Arguments: the part, the folder, the database's URL, the rows of the
 * table, the rounds.
 */
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { detectChanges } from '@sluice/change-detector/detect/detect-changes'
import { readModel } from '@sluice/change-detector/detect/read-model'
import { feedState } from '@sluice/change-detector/detect/feed-state'
import { ownSync } from '@sluice/change-detector/sync/own-sync'
import { publishChanges } from '@sluice/change-detector/publish/publish-changes'
import { changeSchema } from '@sluice/contracts/avro/schemas'
import { postgresSource } from '@sluice/contracts/resources'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import type { DeliveredState } from '@sluice/delivered-state/port'
import { OPS } from '@sluice/contracts/state'
import { countsOf } from '@sluice/domain/counts'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { openSource } from '@sluice/sources/adapters/open-source'
import type { Source } from '@sluice/sources/port'
import { sampleDefinition, INCARNATION, SYNC } from '@sluice/testkit/sample-records'
import { RecordIo } from '@sluice/topics/record-io'
import { sharedTopicSpecs, syncTopics, syncTopicSpecs } from '@sluice/topics/topics'
import type { DetectionFigures, Round } from './change-detection.ts'
import { churn, TABLE } from './detection-table.ts'

const PREFIX = 'bench'
const PARTITIONS = 4
const QUERY = `SELECT * FROM ${TABLE}`
const TRIGGER = { method: 'PUT', path: '/rows/{{ id }}', body: { json: '{{ row | json }}' } }

const { signal } = new AbortController()
const [part = '', folder = '', url = '', rowsText = '', roundsText = ''] = process.argv.slice(2)
const rows = Number(rowsText)
const rounds = Number(roundsText)

const client = new pg.Client({ connectionString: url })
await client.connect()
await using log = await openLog(join(folder, 'log.db'))
const definition = sampleDefinition({
  sql: QUERY,
  sync: { partitions: PARTITIONS, triggers: { added: TRIGGER, changed: 'added', removed: TRIGGER } },
})
const spec = postgresSource.parse({ kind: 'source', name: 'db', type: 'postgres', url })
await using source = await openSource(spec, { secretFor: () => '' })

const COPY_FILE = join(tmpdir(), `sluice-bench-${process.pid}`)

const PARTS: { readonly [part: string]: () => Promise<Partial<DetectionFigures>> } = {
  publish: publishAll,
  restore,
  detect: measureDetection,
}
const figures = await PARTS[part]?.()
const peakRssMb = Math.round(process.resourceUsage().maxRSS / 1024)
process.stdout.write(JSON.stringify({ ...figures, peakRssMb: { [part]: peakRssMb } }))
await client.end()

async function restore(): Promise<Partial<DetectionFigures>> {
  await using state = await openState('state')
  return { restoreMs: await timed(() => feed(state)) }
}

async function measureDetection(): Promise<Partial<DetectionFigures>> {
  await using state = await openState('state')
  await feed(state)
  const unchanged = await measureRounds(state)
  await churn(client, rows)
  const churned = await measureRounds(state)
  const changes = await countChanges(state)
  await rm(COPY_FILE, { force: true })
  return { unchanged, churned, changes }
}

/** The first run, which adds every row, as far as its topics. */
async function publishAll(): Promise<Partial<DetectionFigures>> {
  await using state = await openState('empty')
  await feed(state)
  await using detected = await detect(state)
  const schema = changeSchema(detected.columns)
  const encoder = await log.io.changeEncoder({ sync: SYNC, incarnation: INCARNATION, schema }, { signal })
  await using ownership = await ownSync(log, {
    sync: SYNC,
    incarnation: INCARNATION,
    partitions: PARTITIONS,
    signal,
  })
  const begin = { run: 1, runId: 'run', definition: 'd', startedAt: 1, first: true }
  const of = { io: log.io, ownership, begin, encoder, blockRows: () => 100 }
  await publishChanges(detected.diff, { ...of, cancel: signal, abort: signal })
  return {}
}

async function measureRounds(state: DeliveredState): Promise<readonly Round[]> {
  const measured: Round[] = []
  for (let round = 0; round < rounds; round += 1) {
    const copyMs = await timed(() => client.query(`COPY (${QUERY}) TO '${COPY_FILE}'`))
    // Each run begins so, and the tables of the last diff go.
    await feed(state)
    const times = [clock()]
    const clocked: Source = {
      describe: (model, options) => source.describe(model, options),
      extract: async (model, options) => {
        const extract = await source.extract(model, options)
        times.push(clock())
        return extract
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
    await using _found = await detect(state, clocked)
    times.push(clock())
    const [start = clock(), exported = start, end = exported] = times
    measured.push({
      copyMs,
      exportMs: exported.wallMs - start.wallMs,
      exportCpuMs: exported.cpuMs - start.cpuMs,
      diffMs: end.wallMs - exported.wallMs,
      diffCpuMs: end.cpuMs - exported.cpuMs,
    })
  }
  return measured
}

async function countChanges(state: DeliveredState): Promise<number> {
  await using detected = await detect(state)
  return OPS.reduce((sum, op) => sum + countsOf(detected.diff.counts, op).detected, 0)
}

async function detect(state: DeliveredState, from: Source = source) {
  await using opening = new AsyncDisposableStack()
  const file = join(folder, 'extract.duckdb')
  const reading = opening.use(readModel({ source: from, definition, file, signal }))
  const detected = await detectChanges({ state, reading, definition, baseline: false, signal })
  const opened = opening.move()
  return { ...detected, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

async function openLog(file: string) {
  await using opening = new AsyncDisposableStack()
  const topics = opening.use(createSqliteLog({ file }))
  const codec = opening.use(createSqliteCodec({ file }))
  const io = await RecordIo.open(codec, PREFIX, { signal })
  const specs = [...sharedTopicSpecs(PREFIX), ...syncTopicSpecs(PREFIX, SYNC, PARTITIONS)]
  await topics.ensureTopics(specs, { signal })
  const opened = opening.move()
  return { log: topics, io, prefix: PREFIX, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

function openState(name: string): Promise<DeliveredState> {
  const file = join(folder, `${name}.duckdb`)
  return openDeliveredState({ file, sync: SYNC, incarnation: INCARNATION, partitions: PARTITIONS })
}

async function feed(state: DeliveredState): Promise<void> {
  const topics = syncTopics(log.prefix, SYNC)
  const of = { topics, partitions: PARTITIONS, incarnation: INCARNATION, faults: [] }
  await feedState(state, { log: log.log, io: log.io, ...of, signal })
}

/** Time that has passed, and time that this process has worked. */
function clock(): { readonly wallMs: number; readonly cpuMs: number } {
  const { user, system } = process.cpuUsage()
  return { wallMs: performance.now(), cpuMs: (user + system) / 1000 }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
