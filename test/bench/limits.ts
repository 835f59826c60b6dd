/**
 * Measures how far the embedded pipeline uses its limits: with 100 in flight at an API of 20 ms, beside a
 * plain undici loop with as many in the same run; and a rate, as the share of it that was sent between the
 * first request and the last. Then ten syncs at one destination that answers the first of them after 30 s:
 * how long the other nine take, beside what the rate allows. Run: npm run bench:limits [-- --requests 20000
 * --seconds 4
 * --rounds 3 --part neighbours]
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { benchProject, CONCURRENCY, type BenchOptions } from './bench-project.ts'
import { median } from './median.ts'
import { writeRows } from './rows.ts'
import { startReceiver, type Receiver, type ReceiverStats } from './start-receiver.ts'
import { linkedBundle } from '../../deploy/package/linked-bundle.ts'

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const SLUICE = join(await linkedBundle(), 'sluice.mjs')
const DELAY_MS = 20
const RATES = [40, 400]
const NEIGHBOURS = 9
const NEIGHBOURS_PER_SECOND = 200

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    part: { type: 'string', default: 'all' },
  },
})
const { part } = values
const [requests, seconds, rounds] = [values.requests, values.seconds, values.rounds].map(Number) as [
  number,
  number,
  number,
]

const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
let projects = 0
try {
  await using receiver = await startReceiver({ delayMs: DELAY_MS })
  if (part !== 'neighbours') {
    await measureConcurrency(receiver)
    for (const rate of RATES) await measureRate(receiver, rate)
  }
  for (let round = 0; round < rounds; round += 1) await measureNeighbours(receiver)
} finally {
  await rm(dir, { recursive: true, force: true })
}

async function measureConcurrency(receiver: Receiver): Promise<void> {
  const file = await rowsOf(requests)
  const ratios: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const sluice = perSecond(await runSluice(receiver, file, { batch: 1 }))
    await receiver.reset()
    await node(here('undici-loop.ts'), file, receiver.url, '--batch', '1', '--concurrency', `${CONCURRENCY}`)
    const loop = perSecond(await receiver.stats())
    ratios.push(sluice / loop)
    console.log(`${CONCURRENCY} in flight: sluice ${sluice.toFixed(0)}/s, loop ${loop.toFixed(0)}/s`)
  }
  console.log(`${CONCURRENCY} in flight, sluice / loop: ${median(ratios).toFixed(3)}`)
}

/** The first second's worth goes out at once, so that it does not count. */
async function measureRate(receiver: Receiver, rate: number): Promise<void> {
  const sent = rate * seconds
  const file = await rowsOf(sent)
  const used: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const { firstAt, lastAt } = await runSluice(receiver, file, { batch: 1, perSecond: rate })
    used.push((sent - rate) / rate / (((lastAt ?? 0) - (firstAt ?? 0)) / 1000))
  }
  console.log(`${rate}/s over ${seconds} s, used: ${used.map(each => each.toFixed(3)).join(' ')}`)
}

/** Nine syncs, without a slow one and beside it. It begins before them, and is killed once they are done. */
async function measureNeighbours(receiver: Receiver): Promise<void> {
  const each = Math.ceil((NEIGHBOURS_PER_SECOND * seconds) / NEIGHBOURS)
  const file = await rowsOf(Math.max(each, CONCURRENCY * 2))
  const syncs = NEIGHBOURS + 1
  const options = { batch: 1, partitions: 1, perSecond: NEIGHBOURS_PER_SECOND, syncs, slow: true }
  for (const withSlow of [false, true]) {
    const project = await projectOf(receiver, file, options)
    const slow = withSlow ? start(SLUICE, 'run', 'rows', '--json', '--dir', project) : null
    try {
      while (withSlow && (await receiver.stats()).slow === 0) await setTimeout(50)
      await setTimeout(1_000)
      const beganAt = Date.now()
      const names = Array.from({ length: NEIGHBOURS }, (_, index) => `rows-${index + 2}`)
      await node(SLUICE, 'run', ...names, '--together', '--json', '--dir', project)
      const { requests: sent, firstAt, lastAt, slow: held } = await receiver.stats()
      const firstMs = (firstAt ?? Infinity) - beganAt
      const perSecond = (sent - NEIGHBOURS_PER_SECOND) / (((lastAt ?? 0) - (firstAt ?? 0)) / 1000)
      console.log(
        `${NEIGHBOURS} syncs, ${held} requests of a slow one in flight: first after ${firstMs} ms, ` +
          `then ${perSecond.toFixed(0)}/s of ${NEIGHBOURS_PER_SECOND}/s`,
      )
    } finally {
      slow?.kill('SIGKILL')
    }
  }
}

async function rowsOf(count: number): Promise<string> {
  const file = join(dir, `rows-${count}.csv`)
  await writeRows(file, count)
  return file
}

async function runSluice(receiver: Receiver, file: string, options: BenchOptions): Promise<ReceiverStats> {
  const project = await projectOf(receiver, file, options)
  await node(SLUICE, 'run', 'rows', '--json', '--dir', project)
  return await receiver.stats()
}

async function projectOf(receiver: Receiver, file: string, options: BenchOptions): Promise<string> {
  projects += 1
  const project = join(dir, `project-${projects}`)
  await mkdir(project)
  await writeFile(join(project, 'project.yaml'), benchProject(file, receiver.url, options))
  await receiver.reset()
  return project
}

function start(...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

async function node(...args: readonly string[]): Promise<void> {
  const [code] = await once(start(...args), 'close')
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${String(code)}`)
}

function perSecond({ requests: sent, firstAt, lastAt }: ReceiverStats): number {
  return sent / (((lastAt ?? 0) - (firstAt ?? 0)) / 1000)
}
