/**
 * The embedded pipeline from a CSV to a local receiver, beside a plain undici loop over the same rows in the
 * same run: rows a second, CPU seconds per million rows, peak memory. Rounds alternate, so that a change of
 * the machine's speed meets both. Run: npm run bench [-- --rows 100000 --rounds 3]
 */
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { BATCH, benchProject, CONCURRENCY } from './bench-project.ts'
import { writeRows } from './rows.ts'
import { startReceiver, type Receiver } from './start-receiver.ts'

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const SLUICE = here('../../services/cli/bin/sluice.mjs')

interface Figures {
  readonly rowsPerSecond: number
  readonly cpuSecondsPerMillionRows: number
  readonly peakRssMb: number
}

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
  },
})
const rows = Number(values.rows)
const rounds = Number(values.rounds)

const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
try {
  const file = join(dir, 'rows.csv')
  await writeRows(file, rows)
  await using receiver = await startReceiver()
  const sluice: Figures[] = []
  const loop: Figures[] = []
  for (let round = 0; round < rounds; round += 1) {
    sluice.push(await measureSluice(join(dir, `project-${round}`), file, receiver))
    loop.push(await measureLoop(file, receiver))
  }
  report('sluice run, embedded', sluice)
  report('undici loop', loop)
  const ratio = median(sluice.map(f => f.rowsPerSecond)) / median(loop.map(f => f.rowsPerSecond))
  console.log(
    `sluice / loop: ${ratio.toFixed(2)} (medians of ${rounds} rounds, ${rows} rows, batches of ${BATCH})`,
  )
} finally {
  await rm(dir, { recursive: true, force: true })
}

async function measureSluice(project: string, file: string, receiver: Receiver): Promise<Figures> {
  await receiver.reset()
  await mkdir(project, { recursive: true })
  await writeFile(join(project, 'project.yaml'), benchProject(file, receiver.url))
  const { stdout, peakRssMb, cpuSeconds } = await timed([SLUICE, 'run', 'rows', '--json', '--dir', project])
  const run: { startedAt: string; endedAt: string; status: string } = JSON.parse(stdout)
  const stats = await receiver.stats()
  if (run.status !== 'success' || stats.rows !== rows)
    throw new Error(`the run ended as ${run.status} with ${stats.rows} rows at the receiver, not ${rows}`)
  const seconds = (Date.parse(run.endedAt) - Date.parse(run.startedAt)) / 1000
  return {
    rowsPerSecond: Math.round(rows / seconds),
    cpuSecondsPerMillionRows: (cpuSeconds / rows) * 1e6,
    peakRssMb,
  }
}

async function measureLoop(file: string, receiver: Receiver): Promise<Figures> {
  await receiver.reset()
  const { stdout, peakRssMb, cpuSeconds } = await timed([
    here('undici-loop.ts'),
    file,
    receiver.url,
    '--batch',
    String(BATCH),
    '--concurrency',
    String(CONCURRENCY),
  ])
  const { rowsPerSecond }: { rowsPerSecond: number } = JSON.parse(stdout)
  return { rowsPerSecond, cpuSecondsPerMillionRows: (cpuSeconds / rows) * 1e6, peakRssMb }
}

/**
 * Runs Node with these arguments to its end. Memory and CPU time are those of the whole process, with its
 * start.
 */
async function timed(
  args: readonly string[],
): Promise<{ readonly stdout: string; readonly peakRssMb: number; readonly cpuSeconds: number }> {
  const usage =
    'process.on("exit",()=>process.stderr.write("\\n@usage "+JSON.stringify(process.resourceUsage())+"\\n"))'
  const preload = `data:text/javascript,${encodeURIComponent(usage)}`
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--import', preload, ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const reported = /^@usage (.*)$/m.exec(stderr)?.[1]
  if (exitCode !== 0 || reported === undefined)
    throw new Error(`exit code ${String(exitCode)}: ${stdout}${stderr}`)
  const { maxRSS, userCPUTime, systemCPUTime }: NodeJS.ResourceUsage = JSON.parse(reported)
  return { stdout, peakRssMb: Math.round(maxRSS / 1024), cpuSeconds: (userCPUTime + systemCPUTime) / 1e6 }
}

function report(name: string, figures: readonly Figures[]): void {
  const of = (pick: (figures: Figures) => number): number => median(figures.map(pick))
  const rowsPerSecond = of(f => f.rowsPerSecond).toLocaleString('en')
  const cpu = of(f => f.cpuSecondsPerMillionRows).toFixed(1)
  const memory = of(f => f.peakRssMb)
  console.log(`${name.padEnd(22)} ${rowsPerSecond} rows/s, ${cpu} CPU s per million rows, peak ${memory} MB`)
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
