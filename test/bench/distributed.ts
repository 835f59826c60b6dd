/**
 * The distributed pipeline (one process of each service, on real Kafka, schema registry and Redis) from a CSV
 * to a local receiver, beside a plain kafkajs → undici loop over the same rows in the same run. Run: npm run
 * bench:distributed [-- --rows 100000 --rounds 3 --profile DIR]
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { startServices } from '../../deploy/local/services.ts'
import { benchProject } from './bench-project.ts'
import { rowText, writeRows } from './rows.ts'
import { startReceiver } from './start-receiver.ts'

const SERVICES = ['change-detector', 'renderer', 'delivery'] as const
const PARTITIONS = 4
const ROWS_PER_SEND = 1000
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

interface Usage {
  readonly cpuSeconds: number
  readonly peakRssMb: number
}

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    profile: { type: 'string' },
  },
})
const rows = Number(values.rows)
const rounds = Number(values.rounds)

const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
try {
  await using services = await startServices(['kafka', 'registry', 'redis'])
  const brokers = services.get('kafka').address
  await using receiver = await startReceiver()
  const file = join(dir, 'rows.csv')
  await writeRows(file, rows)
  await produceRows(brokers)
  const env = {
    ...process.env,
    SLUICE_KAFKA_BROKERS: brokers,
    SLUICE_SCHEMA_REGISTRY_URL: services.get('registry').address,
    SLUICE_REDIS_URL: services.get('redis').address,
    SLUICE_PORT: '0',
    SLUICE_LOG_LEVEL: 'warn',
  }
  const sluice: number[] = []
  const loop: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    await receiver.reset()
    sluice.push(await measureSluice(round, { ...env, SLUICE_PREFIX: `bench-${round}` }, file, receiver))
    await receiver.reset()
    loop.push(await measureLoop(brokers, receiver.url))
  }
  const ratio = median(sluice) / median(loop)
  console.log(
    `sluice ${median(sluice)} rows/s, loop ${median(loop)} rows/s, sluice / loop ${ratio.toFixed(2)}`,
  )
} finally {
  await rm(dir, { recursive: true, force: true })
}

async function produceRows(brokers: string): Promise<void> {
  const kafka = new Kafka({ clientId: 'bench', brokers: brokers.split(','), logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 'bench-rows', numPartitions: PARTITIONS }] })
  await admin.disconnect()
  const producer = kafka.producer()
  await producer.connect()
  for (let first = 1; first <= rows; first += ROWS_PER_SEND) {
    const size = Math.min(ROWS_PER_SEND, rows - first + 1)
    const messages = Array.from({ length: size }, (_, index) => ({
      key: String(first + index),
      value: rowText(first + index),
    }))
    await producer.send({ topic: 'bench-rows', messages })
  }
  await producer.disconnect()
}

async function measureSluice(
  round: number,
  env: NodeJS.ProcessEnv,
  file: string,
  receiver: { readonly url: string; stats(): Promise<{ readonly rows: number }> },
): Promise<number> {
  const project = join(dir, `project-${round}`)
  await mkdir(project)
  await writeFile(join(project, 'project.yaml'), benchProject(file, receiver.url))
  const children = await Promise.all(SERVICES.map(name => startService(name, env)))
  try {
    const { stdout } = await run(
      [here('../../services/cli/bin/sluice.mjs'), 'run', 'rows', '--json', '--dir', project],
      env,
    )
    const view: { startedAt: string; endedAt: string; status: string } = JSON.parse(stdout)
    const { rows: received } = await receiver.stats()
    if (view.status !== 'success' || received !== rows)
      throw new Error(`the run ended as ${view.status} with ${received} rows at the receiver, not ${rows}`)
    const seconds = (Date.parse(view.endedAt) - Date.parse(view.startedAt)) / 1000
    console.log(`round ${round}: ${Math.round(rows / seconds)} rows/s`)
    for (const { name, child } of children) {
      const { cpuSeconds, peakRssMb } = await usageOf(child)
      const cpu = ((cpuSeconds / rows) * 1e6).toFixed(1)
      console.log(`  ${name.padEnd(16)} ${cpu} CPU s per million rows, start included; peak ${peakRssMb} MB`)
    }
    return Math.round(rows / seconds)
  } finally {
    for (const { child } of children) child.kill('SIGTERM')
    await Promise.all(
      children.map(async ({ child }) => {
        if (child.exitCode === null) await once(child, 'exit')
      }),
    )
  }
}

async function startService(
  name: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly name: string; readonly child: ChildProcess }> {
  const profiling =
    values.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', join(values.profile, name)]
  const folder = here(`../../services/${name}`)
  const child = spawn(process.execPath, [...profiling, ...(await startArguments(folder))], {
    cwd: folder,
    env: {
      SLUICE_SOURCE_ROOTS: '/',
      SLUICE_SOURCE_PRIVATE_NETWORKS: 'allowed',
      ...env,
      SLUICE_DATA_DIR: join(dir, `${name}-data-${env['SLUICE_PREFIX'] ?? ''}`),
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return { name, child }
}

/** The arguments that the start script of a service gives to Node. */
async function startArguments(folder: string): Promise<readonly string[]> {
  const manifest: { scripts: { start: string } } = JSON.parse(
    await readFile(join(folder, 'package.json'), 'utf8'),
  )
  const [, args = ''] = /exec node (.*)$/.exec(manifest.scripts.start) ?? []
  return args.split(' ')
}

/** CPU time and peak memory of a process that runs, from /proc. */
async function usageOf(child: ChildProcess): Promise<Usage> {
  const stat = await readFile(`/proc/${String(child.pid)}/stat`, 'utf8')
  const status = await readFile(`/proc/${String(child.pid)}/status`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  return { cpuSeconds: ticks / 100, peakRssMb: Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024) }
}

async function measureLoop(brokers: string, url: string): Promise<number> {
  const { stdout } = await run([here('kafka-loop.ts'), brokers, 'bench-rows', String(rows), url], process.env)
  const result: { rowsPerSecond: number; cpuSeconds: number; peakRssMb: number } = JSON.parse(stdout)
  const cpu = ((result.cpuSeconds / rows) * 1e6).toFixed(1)
  console.log(
    `  loop: ${result.rowsPerSecond} rows/s, ${cpu} CPU s per million rows, peak ${result.peakRssMb} MB`,
  )
  return result.rowsPerSecond
}

async function run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<{ readonly stdout: string }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (exitCode !== 0) throw new Error(`exit code ${String(exitCode)}: ${stdout}${stderr}`)
  return { stdout }
}

function median(figures: readonly number[]): number {
  return [...figures].sort((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN
}
