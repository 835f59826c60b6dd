/**
 * Measures runs whose changes lie all over the table, by `sluice run` from a Parquet file: the first run
 * adds all rows, and in each other one a share of them differs, other rows each time. Time, CPU time and peak
 * memory of each run. All shares follow one first run. The file is written once, and the model's query makes
 * the changes. With `--distributed`, the runs are those of three services with a Kafka of their own.
 * Run: npm run bench:scattered [-- --rows 2000000 --shares 0.001,0.01,0.5 --runs 10,10,3 --distributed]
 */
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { DuckDBInstance } from '@duckdb/node-api'
import { startServices } from '../../deploy/local/services.ts'
import { startDistributed } from '../e2e/distributed.ts'
import { markdown } from './bench-report.ts'
import { benchProject } from './bench-project.ts'
import { startReceiver } from './start-receiver.ts'
import { runIn, usagesOf, usedSince } from './ours.ts'
import { runTimed, type Usage } from './usage.ts'
import { linkedBundle } from '../../deploy/package/linked-bundle.ts'

const SLUICE = join(await linkedBundle(), 'sluice.mjs')
const PROJECT = { columns: ['id', 'name', 'email', 'amount', 'note'], batch: 1000, changed: true }
const HEAD = ['changes', 'run', 'seconds', 'CPU s', 'peak MB', 'state, MB', 'log, MB']

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '2000000' },
    shares: { type: 'string', default: '0.001,0.01,0.5' },
    runs: { type: 'string', default: '10' },
    distributed: { type: 'boolean', default: false },
  },
})
const rows = Number(values.rows)
/** By share; the last one counts for the shares behind it. */
const runs = values.runs.split(',').map(Number)
/** SQL that is 1 for each row that a run has changed, by run. */
const revisions: string[] = []

await using receiver = await startReceiver()
await using distributed = values.distributed ? await startServers() : null
const lines: string[][] = []
const dir = await mkdtemp(join(tmpdir(), 'sluice-scattered-'))
try {
  await writeRows(join(dir, 'rows.parquet'))
  await measure('all', 'first', rows)
  for (const [index, share] of values.shares.split(',').map(Number).entries())
    for (let run = 1; run <= (runs[index] ?? runs.at(-1) ?? 0); run += 1) {
      const every = Math.round(1 / share)
      revisions.push(`(id % ${every} = ${run % every})::INTEGER`)
      await measure(`${share * 100} %`, String(run), Math.floor(rows / every))
    }
} finally {
  await rm(dir, { recursive: true, force: true })
}
console.log(markdown(HEAD, lines))

async function measure(changes: string, run: string, expected: number): Promise<void> {
  const select = `* REPLACE (note || '-' || (${['0', ...revisions].join(' + ')}) AS note)`
  const project = benchProject(join(dir, 'rows.parquet'), receiver.url, { ...PROJECT, select })
  await writeFile(join(dir, 'project.yaml'), project)
  await receiver.reset()
  const startedAt = performance.now()
  const usage = await (distributed === null ? runEmbedded() : distributed.run())
  const seconds = (performance.now() - startedAt) / 1000
  const { rows: arrived } = await receiver.stats()
  if (arrived !== expected)
    throw new Error(`${arrived} rows arrived in run ${run} of ${changes}, not ${expected}`)
  const figures = [seconds.toFixed(1), usage.cpuSeconds.toFixed(1), String(usage.peakRssMb)]
  const state = join(distributed?.dataDir ?? join(dir, '.sluice'), 'state')
  const log = distributed === null ? await sizeOf(join(dir, '.sluice')) : ''
  lines.push([changes, run, ...figures, await sizeOf(state), log])
  console.error(lines.at(-1)?.join(', '))
}

async function runEmbedded(): Promise<Usage> {
  const { usage } = await runTimed([process.execPath, SLUICE, 'run', 'rows', '--json', '--dir', dir])
  return usage
}

/** One process of each service. Their CPU time is that of all, and memory that of the largest. */
async function startServers() {
  const running = await startServices(['kafka', 'registry', 'redis'], { sustainedKafka: true })
  const services = await startDistributed({ services: running.env })
  return {
    dataDir: services.of('change-detector')[0]?.dataDir,
    async run(): Promise<Usage> {
      const before = await usagesOf(services)
      await runIn(services, dir)
      const used = Object.entries(usedSince(before, await usagesOf(services)))
      console.error(used.map(([name, usage]) => `${name}: ${JSON.stringify(usage)}`).join(', '))
      const cpuSeconds = used.reduce((sum, [, usage]) => sum + usage.cpuSeconds, 0)
      return { cpuSeconds, peakRssMb: Math.max(...used.map(([, usage]) => usage.peakRssMb)) }
    },
    async [Symbol.asyncDispose]() {
      await services[Symbol.asyncDispose]()
      await running[Symbol.asyncDispose]()
    },
  }
}

/** Rows of about 130 bytes. */
async function writeRows(file: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { memory_limit: '1GB' })
  const connection = await instance.connect()
  await connection.run(`COPY (SELECT g AS id, 'Customer number ' || g AS name, 'c' || g || '@example.com' AS email,
      (g * 1.37)::DECIMAL(12,2) AS amount, md5(g::VARCHAR) AS note
    FROM range(${rows}) AS t(g)) TO '${file}'`)
  connection.closeSync()
  instance.closeSync()
}

async function sizeOf(folder: string): Promise<string> {
  let bytes = 0
  for (const name of await readdir(folder)) {
    const found = await stat(join(folder, name))
    if (found.isFile()) bytes += found.size
  }
  return (bytes / 1e6).toFixed(0)
}
