/**
 * CPU seconds of the change-detector per million rows, phase by phase: extract, diff, publishing to the log,
 * and the rebuild of the state from its topics. The log is a SQLite file, or Kafka where `--brokers` names
 * one. Run: node test/bench/detector-service.ts FOLDER [--rows 300000 --brokers HOST:PORT --phase all]
 */
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { detectChanges } from '@sluice/change-detector/detect/detect-changes'
import { readModel } from '@sluice/change-detector/detect/read-model'
import { feedState } from '@sluice/change-detector/detect/feed-state'
import { ownSync } from '@sluice/change-detector/sync/own-sync'
import { publishChanges } from '@sluice/change-detector/publish/publish-changes'
import { changeSchema } from '@sluice/contracts/avro/schemas'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { openSource } from '@sluice/sources/adapters/open-source'
import { sampleDefinition, INCARNATION, SYNC } from '@sluice/testkit/sample-records'
import { RecordIo } from '@sluice/topics/record-io'
import { sharedTopicSpecs, syncTopics, syncTopicSpecs } from '@sluice/topics/topics'
import { writeRows } from './rows.ts'

const PARTITIONS = 4
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rows: { type: 'string', default: '300000' }, brokers: { type: 'string' } },
})
const [folder = ''] = positionals
const rows = Number(values.rows)
const { signal } = new AbortController()
const prefix = `bench-${process.pid}`

await mkdir(folder, { recursive: true })
const csv = join(folder, `rows-${rows}.csv`)
await writeRows(csv, rows)
const logFile = join(folder, `${prefix}.db`)
const stateFiles = ['first', 'second'].map(name => join(folder, `${prefix}-${name}.duckdb`))
const extractFile = join(folder, `${prefix}-extract.duckdb`)
try {
  await using log =
    values.brokers === undefined
      ? createSqliteLog({ file: logFile })
      : createKafkaLog({ brokers: values.brokers.split(','), clientId: 'bench' })
  await using codec = createSqliteCodec({ file: values.brokers === undefined ? logFile : `${logFile}.codec` })
  const io = await RecordIo.open(codec, prefix, { signal })
  const specs = [...sharedTopicSpecs(prefix), ...syncTopicSpecs(prefix, SYNC, PARTITIONS)]
  await log.ensureTopics(specs, { signal })
  const trigger = { method: 'PUT', path: '/rows/{{ id }}', body: { json: '{{ row | json }}' } }
  const definition = sampleDefinition({
    path: folder,
    sql: `select * from '${csv}'`,
    sync: { partitions: PARTITIONS, triggers: { added: trigger, changed: 'added', removed: trigger } },
  })
  await using source = await openSource(definition.source, { secretFor: () => '' })
  const openState = (file = '') =>
    openDeliveredState({ file, sync: SYNC, incarnation: INCARNATION, partitions: PARTITIONS })
  {
    await using state = await openState(stateFiles[0])
    await using stack = new AsyncDisposableStack()
    const detected = await measured('extract and diff', () => {
      const reading = stack.use(readModel({ source, definition, file: extractFile, signal }))
      return detectChanges({ state, reading, definition, baseline: false, signal })
    })
    const schema = changeSchema(detected.columns)
    const encoder = await io.changeEncoder({ sync: SYNC, incarnation: INCARNATION, schema }, { signal })
    const of = { sync: SYNC, incarnation: INCARNATION, partitions: PARTITIONS, signal }
    await using ownership = await ownSync({ log, io, prefix }, of)
    const begin = { run: 1, runId: 'run', definition: 'd', startedAt: 1, first: true }
    const options = { io, ownership, begin, encoder, blockRows: () => 100, cancel: signal, abort: signal }
    await measured('publish', () => publishChanges(detected.diff, options))
  }
  {
    await using state = await openState(stateFiles[1])
    const topics = syncTopics(prefix, SYNC)
    const of = { log, io, topics, partitions: PARTITIONS, incarnation: INCARNATION, faults: [], signal }
    await measured('restore', () => feedState(state, of))
  }
  await log.deleteTopics(
    specs.map(({ topic }) => topic),
    { signal },
  )
} finally {
  for (const file of [logFile, `${logFile}.codec`, extractFile, ...stateFiles])
    for (const end of ['', '-wal', '-shm', '.wal', '.lock']) await rm(`${file}${end}`, { force: true })
}

async function measured<T>(phase: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now()
  const cpu = process.cpuUsage()
  const before = threads()
  const result = await work()
  const { user, system } = process.cpuUsage(cpu)
  const perMillion = (micros: number): string => (micros / rows).toFixed(2).padStart(6)
  const seconds = (performance.now() - start) / 1000
  const of: string[] = []
  for (const [name, ticks] of threads()) {
    const seconds = perMillion((ticks - (before.get(name) ?? 0)) * 10_000)
    if (Number(seconds) > 0.05) of.push(`${name} ${seconds.trim()}`)
  }
  console.log(
    `${phase.padEnd(18)} ${perMillion(user + system)} CPU s/M (system ${perMillion(system).trim()}); ${of.join(', ')}; ${seconds.toFixed(1)} s`,
  )
  return result
}

/** CPU time of this process's threads by their names, in hundredths of a second. */
function threads(): ReadonlyMap<string, number> {
  const ticks = new Map<string, number>()
  for (const id of readdirSync('/proc/self/task')) {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, 'utf8')
    const end = stat.lastIndexOf(')')
    const name = Number(id) === process.pid ? 'main' : stat.slice(stat.indexOf('(') + 1, end)
    const fields = stat.slice(end + 2).split(' ')
    ticks.set(name, (ticks.get(name) ?? 0) + Number(fields[11]) + Number(fields[12]))
  }
  return ticks
}
