/**
 * Measures change detection over a table in PostgreSQL: export and diff, a run without a change, and the
 * restore of the delivered state from its topics. The yardstick is `COPY … TO` a file of the server, over the
 * same rows in the same run. Rounds alternate, so that a change of the machine's speed affects both.
 * Detection runs in a process of its own, so that its peak memory is known.
 *
 * Run: npm run bench:detection [-- --rows 1000000 --rounds 5]. The database is that of
 * SLUICE_TEST_POSTGRES_URL, whose user has to be allowed to write files of the server; without it, one is
 * started.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startServices } from '../../deploy/local/services.ts'
import { environmentOf, FLAGS } from '../../libs/runtime/bin/node-settings.mjs'
import { prepareTable, TABLE } from './detection-table.ts'
import { median } from './median.ts'

const CHILD = fileURLToPath(new URL('detection-process.ts', import.meta.url))

/** The times that the detecting process measures, in milliseconds. */
export interface DetectionFigures {
  readonly restoreMs: number
  readonly unchanged: readonly Round[]
  readonly churned: readonly Round[]
  readonly changes: number
  readonly peakRssMb: { readonly [part: string]: number }
}

export interface Round {
  readonly copyMs: number
  readonly exportMs: number
  readonly diffMs: number
  /** The CPU time of the detecting process, without the server's. */
  readonly exportCpuMs: number
  readonly diffCpuMs: number
}

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '5' },
  },
})
const rows = Number(values.rows)

await using started =
  process.env['SLUICE_TEST_POSTGRES_URL'] === undefined ? await startServices(['postgres']) : null
const url = started?.get('postgres').address ?? process.env['SLUICE_TEST_POSTGRES_URL'] ?? ''
const client = new pg.Client({ connectionString: url })
await client.connect()
try {
  await prepareTable(client, rows)
  const figures = await measure()
  report('no change', figures.unchanged)
  report(`1 % churn (${figures.changes} changes)`, figures.churned)
  console.log(
    `restore: ${rows} changes in ${seconds(figures.restoreMs)}, ${Math.round((rows / figures.restoreMs) * 1000)} changes/s`,
  )
  const peaks = Object.entries(figures.peakRssMb).map(([part, mb]) => `${part} ${mb} MB`)
  console.log(`peak memory of the process: ${peaks.join(', ')}`)
} finally {
  await client.query(`DROP TABLE IF EXISTS ${TABLE}`)
  await client.end()
}

async function measure(): Promise<DetectionFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  try {
    const published = await runPart('publish', folder)
    const restored = await runPart('restore', folder)
    const detected = await runPart('detect', folder)
    const peakRssMb = { ...published.peakRssMb, ...restored.peakRssMb, ...detected.peakRssMb }
    return { ...published, ...restored, ...detected, peakRssMb }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function runPart(part: string, folder: string): Promise<DetectionFigures> {
  const args = [...FLAGS, CHILD, part, folder, url, String(rows), values.rounds]
  const child = spawn(process.execPath, args, {
    env: environmentOf(process.env),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (exitCode !== 0) throw new Error(`the part ${part} ended with exit code ${String(exitCode)}`)
  const figures: DetectionFigures = JSON.parse(stdout)
  return figures
}

function report(name: string, rounds: readonly Round[]): void {
  const of = (pick: (round: Round) => number): number => median(rounds.map(pick))
  const copyMs = of(round => round.copyMs)
  const ratio = of(round => (round.exportMs + round.diffMs) / round.copyMs)
  console.log(
    `${name}: COPY to a file ${seconds(copyMs)}; export ${seconds(of(round => round.exportMs))} (CPU ${seconds(of(round => round.exportCpuMs))}), ` +
      `diff ${seconds(of(round => round.diffMs))} (CPU ${seconds(of(round => round.diffCpuMs))}); (export + diff) / COPY ${ratio.toFixed(2)} ` +
      `(medians of ${rounds.length} rounds, ${rows} rows)`,
  )
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}
