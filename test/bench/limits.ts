/**
 * How far the embedded pipeline uses its limits: with 100 in flight at an API of 20 ms, beside a plain undici
 * loop with as many in the same run; and a rate, as the share of it that was sent between the first request
 * and the last. Run: npm run bench:limits [-- --requests 20000 --seconds 4 --rounds 3]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { benchProject, CONCURRENCY, type BenchOptions } from './bench-project.ts'
import { median } from './median.ts'
import { writeRows } from './rows.ts'
import { startReceiver, type Receiver, type ReceiverStats } from './start-receiver.ts'

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const SLUICE = here('../../services/cli/bin/sluice.mjs')
const DELAY_MS = 20
const RATES = [40, 400]

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
  },
})
const [requests, seconds, rounds] = [values.requests, values.seconds, values.rounds].map(Number) as [
  number,
  number,
  number,
]

const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
let projects = 0
try {
  await using receiver = await startReceiver({ delayMs: DELAY_MS })
  await measureConcurrency(receiver)
  for (const rate of RATES) await measureRate(receiver, rate)
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

async function rowsOf(count: number): Promise<string> {
  const file = join(dir, `rows-${count}.csv`)
  await writeRows(file, count)
  return file
}

async function runSluice(receiver: Receiver, file: string, options: BenchOptions): Promise<ReceiverStats> {
  projects += 1
  const project = join(dir, `project-${projects}`)
  await mkdir(project)
  await writeFile(join(project, 'project.yaml'), benchProject(file, receiver.url, options))
  await receiver.reset()
  await node(SLUICE, 'run', 'rows', '--json', '--dir', project)
  return await receiver.stats()
}

async function node(...args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${String(code)}`)
}

function perSecond({ requests: sent, firstAt, lastAt }: ReceiverStats): number {
  return sent / (((lastAt ?? 0) - (firstAt ?? 0)) / 1000)
}
