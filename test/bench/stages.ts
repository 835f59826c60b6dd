/**
 * Each stage beside the least that the machine needs for its work: what DuckDB takes to export the rows,
 * Kafka's own tools to write and read the same bytes, undici to post them, and the processor to copy them.
 * All take turns in each round. CPU seconds are those of the stage's process or of the tool, which also has
 * its start taken off. Run: npm run bench:stages [-- --rows 1000000 --rounds 3]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cached, ensureJava, mavenDependencies } from '../../deploy/local/install.ts'
import { startServices } from '../../deploy/local/services.ts'
import { benchData, createTopics } from './bench-data.ts'
import { markdown } from './bench-report.ts'
import { measure } from './contestants.ts'
import { median } from './median.ts'
import { distributed } from './ours.ts'
import { startReceiver } from './start-receiver.ts'
import { runTimed } from './usage.ts'

const KAFKA_TOOLS = '4.3.1'
const BATCH = 100
/** About what a row has in the file. */
const ROW_BYTES = 200

const { values } = parseArgs({
  options: { rows: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '3' } },
})
const rows = Number(values.rows)
const requests = Math.ceil(rows / BATCH)
const taken = new Map<string, number[]>()

const dir = await mkdtemp(join(tmpdir(), 'sluice-stages-'))
try {
  await using running = await startServices(['kafka', 'registry', 'redis'], { sustainedKafka: true })
  await using receiver = await startReceiver()
  const brokers = running.get('kafka').address
  const data = benchData(dir, brokers)
  const file = await data.file(rows)
  const java = await ensureJava()
  const tools = await cached(`kafka-tools-${KAFKA_TOOLS}`, folder =>
    mavenDependencies(folder, [`org.apache.kafka:kafka-tools:${KAFKA_TOOLS}`]),
  )
  const kafkaTool = (tool: string, ...args: readonly string[]): Promise<number> =>
    cpuOf([java, '-cp', join(tools, 'libs', '*'), `org.apache.kafka.tools.${tool}`, ...args])
  const produce = (topic: string, records: number, bytes: number): Promise<number> =>
    kafkaTool(
      'ProducerPerformance',
      ...['--topic', topic, '--num-records', String(records), '--record-size', String(bytes)],
      ...['--throughput', '-1', '--producer-props', `bootstrap.servers=${brokers}`, 'acks=all'],
    )
  const consume = (topic: string, records: number): Promise<number> =>
    kafkaTool(
      'ConsumerPerformance',
      ...['--bootstrap-server', brokers, '--topic', topic, '--messages', String(records)],
    )

  for (let round = 0; round < Number(values.rounds); round += 1) {
    const work = { rows, batch: BATCH, receiver }
    const ours = await measure(distributed({ ...data, services: running.env }), work, `stages-${round}`)
    for (const [name, { cpuSeconds }] of Object.entries(ours.used)) note(name, cpuSeconds)
    const { bytes } = await receiver.stats()
    const bodyBytes = Math.round(bytes / requests)
    const topics = ['start', 'rows', 'bodies'].map(name => `${name}-${round}`)
    await createTopics(brokers, topics)
    const started = await physical('nothing')
    const toolStarted = await produce(`start-${round}`, 1, ROW_BYTES)
    note('export', (await physical('export', file, join(dir, 'exported.csv'))) - started)
    note('copy', (await physical('copy', String(bytes))) - started)
    note(
      'dispatch',
      (await physical('dispatch', receiver.url, String(requests), String(bodyBytes))) - started,
    )
    note('write rows', (await produce(`rows-${round}`, rows, ROW_BYTES)) - toolStarted)
    note('read rows', (await consume(`rows-${round}`, rows)) - toolStarted)
    note('write bodies', (await produce(`bodies-${round}`, requests, bodyBytes)) - toolStarted)
    note('read bodies', (await consume(`bodies-${round}`, requests)) - toolStarted)
    console.error([...taken].map(([name, all]) => `${name} ${(all.at(-1) ?? NaN).toFixed(2)}`).join(', '))
  }
} finally {
  await rm(dir, { recursive: true, force: true })
}
const limits: readonly (readonly [string, string, ...string[]])[] = [
  ['change-detector', 'DuckDB exports, Kafka writes rows', 'export', 'write rows'],
  [
    'renderer',
    'Kafka reads rows, bytes are copied, Kafka writes bodies',
    'read rows',
    'copy',
    'write bodies',
  ],
  ['delivery', 'Kafka reads bodies, undici posts them', 'read bodies', 'dispatch'],
]
console.log(
  markdown(
    ['stage', 'CPU s per million rows', 'the least', 'CPU s per million rows', 'of these', 'times'],
    limits.map(([stage, title, ...parts]) => {
      const [own, least] = [perMillion(stage), parts.map(perMillion)]
      const sum = least.reduce((total, each) => total + each, 0)
      const each = least.map(part => part.toFixed(2)).join(' + ')
      return [stage, own.toFixed(1), title, sum.toFixed(1), each, (own / sum).toFixed(1)]
    }),
  ),
)

function note(name: string, cpuSeconds: number): void {
  taken.set(name, [...(taken.get(name) ?? []), cpuSeconds])
}

function perMillion(name: string): number {
  return (median(taken.get(name) ?? []) / rows) * 1e6
}

async function cpuOf(command: readonly string[]): Promise<number> {
  return (await runTimed(command)).usage.cpuSeconds
}

function physical(...args: readonly string[]): Promise<number> {
  const program = fileURLToPath(new URL('physical.ts', import.meta.url))
  return cpuOf([process.execPath, '--disable-warning=ExperimentalWarning', program, ...args])
}
