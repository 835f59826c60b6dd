/** Contestants that are not ours: loops without promises, Kafka Connect with an HTTP sink, and drt. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { z } from 'zod'
import { cached, ensureJava, ensurePrograms, mavenDependencies } from '../../deploy/local/install.ts'
import type { BenchData } from './bench-data.ts'
import { CONCURRENCY, PARTITIONS } from './bench-project.ts'
import type { Contestant } from './contestants.ts'
import { COLUMNS } from './rows.ts'
import { runTimed, usageOf } from './usage.ts'

const execute = promisify(execFile)
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const usage = z.object({ cpuSeconds: z.number(), peakRssMb: z.number() })

/** kafkajs to undici. */
export function topicLoop({ brokers, topic }: BenchData, parse: boolean): Contestant {
  return {
    name: parse ? 'loop kafkajs → undici that parses' : 'loop kafkajs → undici that joins bytes',
    guarantees: 'none',
    send: async ({ rows, batch, receiver }) => {
      const args = [brokers, await topic(rows), String(rows), receiver.url, '--batch', String(batch)]
      const flags = ['--disable-warning=ExperimentalWarning', here('kafka-loop.ts')]
      const command = [process.execPath, ...flags, ...args, ...(parse ? ['--parse'] : [])]
      const { stdout } = await runTimed(command)
      return { loop: usage.parse(JSON.parse(stdout)) }
    },
  }
}

/** A CSV file to undici. */
export function fileLoop({ file }: BenchData): Contestant {
  return {
    name: 'loop CSV → undici',
    guarantees: 'none',
    send: async ({ rows, batch, receiver }) => {
      const numbers = ['--batch', String(batch), '--concurrency', String(CONCURRENCY)]
      const flags = ['--disable-warning=ExperimentalWarning', here('undici-loop.ts')]
      const { stdout } = await runTimed([
        process.execPath,
        ...flags,
        await file(rows),
        receiver.url,
        ...numbers,
      ])
      return { loop: usage.parse(JSON.parse(stdout)) }
    },
  }
}

const CONNECT = '4.1.1'

/**
 * Kafka Connect in one process with Aiven's HTTP sink, whose jar lies in a folder with what it needs. The
 * sink is in no public Maven repository: it is built from its source.
 */
export async function kafkaConnect(source: BenchData, plugin: string): Promise<Contestant> {
  const java = await ensureJava()
  const installed = await cached(`kafka-connect-${CONNECT}`, folder =>
    mavenDependencies(folder, [
      `org.apache.kafka:connect-runtime:${CONNECT}`,
      `org.apache.kafka:connect-json:${CONNECT}`,
    ]),
  )
  const jars = (await readdir(plugin)).filter(name => name.endsWith('.jar'))
  if (jars.length === 0) throw new Error(`${plugin} has no jar`)
  return {
    name: 'Kafka Connect, HTTP sink of Aiven',
    guarantees: 'at least once, in order by partition; retries, no limits',
    version: `Connect ${CONNECT}, ${jars.find(name => name.includes('http')) ?? ''}`,
    send: async (work, round) => {
      const folder = join(source.dir, `connect-${round}`)
      await mkdir(folder)
      const [worker, sink] = [join(folder, 'worker.properties'), join(folder, 'sink.properties')]
      const text = 'org.apache.kafka.connect.storage.StringConverter'
      const ofWorker = {
        'bootstrap.servers': source.brokers,
        'key.converter': text,
        'value.converter': text,
        'offset.storage.file.filename': join(folder, 'offsets'),
        'plugin.path': plugin,
        listeners: 'http://127.0.0.1:0',
        'consumer.auto.offset.reset': 'earliest',
      }
      const ofSink = {
        name: `bench-${round}`,
        'connector.class': 'io.aiven.kafka.connect.http.HttpSinkConnector',
        topics: await source.topic(work.rows),
        'tasks.max': String(PARTITIONS),
        'http.url': work.receiver.url,
        'http.authorization.type': 'none',
        'http.headers.content.type': 'application/json',
        'batching.enabled': String(work.batch > 1),
        'batch.max.size': String(work.batch),
        'batch.prefix': '[',
        'batch.suffix': ']',
        'batch.separator': ',',
      }
      await writeFile(worker, properties(ofWorker))
      await writeFile(sink, properties(ofSink))
      const classes = join(installed, 'libs', '*')
      const main = 'org.apache.kafka.connect.cli.ConnectStandalone'
      const child = spawn(java, ['-Xmx1g', '-cp', classes, main, worker, sink], { stdio: 'ignore' })
      const gone = once(child, 'exit')
      try {
        while ((await work.receiver.stats()).rows < work.rows) {
          if (child.exitCode !== null) throw new Error(`Kafka Connect ended with ${child.exitCode}`)
          await delay(100)
        }
        return { connect: await usageOf(child.pid ?? 0) }
      } finally {
        child.kill('SIGKILL')
        await gone
      }
    },
  }
}

function properties(of: { readonly [name: string]: string }): string {
  return Object.entries(of)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

const DRT = '1.2.1'

/** drt, from a table in a DuckDB file, as it has no source for CSV files. */
export async function drt(source: BenchData): Promise<Contestant> {
  const [python = ''] = await ensurePrograms([{ command: 'python3', debianPackage: 'python3-venv' }])
  const home = await cached(`drt-${DRT}`, async folder => {
    await execute(python, ['-m', 'venv', '--copies', join(folder, 'env')])
    await execute(join(folder, 'env/bin/python'), ['-m', 'pip', 'install', '-q', `drt-core[duckdb]==${DRT}`])
  })
  const program = join(home, 'env/bin/python')
  return {
    name: 'drt',
    guarantees: 'retries within a run; no diff by default, one request at a time',
    version: DRT,
    send: async (work, round) => {
      const folder = join(source.dir, `drt-${round}`)
      await mkdir(join(folder, 'syncs'), { recursive: true })
      await mkdir(join(folder, '.drt'))
      const database = join(folder, 'rows.duckdb')
      const table = `create table rows as select * from read_csv('${await source.file(work.rows)}', all_varchar = true)`
      const load = `import duckdb, sys; duckdb.connect(sys.argv[1]).execute(sys.argv[2])`
      await execute(program, ['-c', load, database, table])
      await writeFile(join(folder, '.drt/profiles.yml'), `bench:\n  type: duckdb\n  database: ${database}\n`)
      await writeFile(join(folder, 'drt_project.yml'), `name: bench\nversion: "0.1"\nprofile: bench\n`)
      await writeFile(join(folder, 'syncs/rows.yml'), syncOfDrt(work.receiver.url, work.batch))
      const env = { ...process.env, HOME: folder, DO_NOT_TRACK: '1' }
      const { usage: used } = await runTimed([program, '-c', 'from drt.cli.main import app; app()', 'run'], {
        cwd: folder,
        env,
      })
      return { drt: used }
    },
  }
}

function syncOfDrt(url: string, batch: number): string {
  const fields = COLUMNS.map(column => `"${column}": {{ row.${column} | tojson }}`).join(', ')
  const body =
    batch === 1
      ? `  body_template: '{${fields}}'`
      : `  body_mode: batch
  max_records_per_request: ${batch}
  batch_template: '[{% for row in rows %}{${fields}}{% if not loop.last %},{% endif %}{% endfor %}]'`
  return `name: rows
model: ref('rows')
destination:
  type: rest_api
  url: ${url}
  method: POST
  headers: { Content-Type: application/json }
${body}
sync:
  mode: full
  batch_size: 1000
  rate_limit: { requests_per_second: 1000000 }
  on_error: fail
`
}
