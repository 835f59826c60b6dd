/** Plays a shape in a profile: its passes one after the other, each judged by run, receiver and memory. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startDistributed, type Distributed } from '../e2e/distributed.ts'
import { oneProcess, processEach, type CommandLine } from './command-line.ts'
import { judgeRuns } from './judge-runs.ts'
import { PeakMemory, type Peaks } from './peak-memory.ts'
import { syncNames, writeProject, type Databases } from './project.ts'
import { reasonsOf } from './reasons.ts'
import { isSelected, type Pass, type Shape } from './shape.ts'
import { findShape } from './shapes.ts'
import { startShapeReceiver, type ShapeReceiver } from './start-receiver.ts'

/** No process may ever need more, in MB, whatever the shape. */
const MAX_MEGABYTES = 700
const LOG_LINES_SHOWN = 15
/** If a pass is wrong, this many syncs are asked why their rows were not delivered. */
const SYNCS_ASKED = 3
const ASKED_FOR_MS = 60_000
const WARN = 40

type Env = { readonly [name: string]: string }

export interface Setting {
  readonly profile: 'embedded' | 'distributed'
  readonly scale: number
  /** Addresses of Kafka, registry and Redis, for the distributed profile. */
  readonly services: Env
  readonly databases: Databases
  /** The secret of the databases. */
  readonly password: string
  /** The time limit of one pass. */
  readonly passWithinMs: number
  /** Services that run already; default: those of the shape alone, so that their peaks are the shape's. */
  readonly running?: Distributed
}

export interface Played {
  readonly name: string
  readonly profile: Setting['profile']
  readonly rows: number
  /** Bytes of the bodies that arrived, over all passes. */
  readonly bytes: number
  /** The duration of each pass. */
  readonly seconds: readonly number[]
  readonly peaks: Peaks
  /** The mistakes found. Empty if the shape has passed. */
  readonly problems: readonly string[]
}

/** The secret under which the project of a shape has the password of its database, and where it may go. */
function databaseSecret({ password, databases }: Setting): Env {
  const urls = [databases.postgres, databases.mariadb].filter(url => url !== null)
  const grants = urls.map(url => `${new URL(url).hostname} source plain`).join(',')
  return { SLUICE_SECRET_DB_PASSWORD: password, SLUICE_SECRET_DB_PASSWORD_FOR: grants }
}

/** Resolves whether the shape passes or not; rejects if it could not be played. */
export async function playShape(name: string, setting: Setting): Promise<Played> {
  const shape = findShape(name, setting.scale)
  await using playing = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-shape-'))
  playing.defer(() => rm(dir, { recursive: true, force: true }))
  const receiver = playing.use(await startShapeReceiver(name, setting.scale))
  const secret = databaseSecret(setting)
  const services =
    setting.profile === 'embedded'
      ? null
      : (setting.running ?? playing.use(await startDistributed({ services: setting.services, env: secret })))
  const peaks = playing.use(new PeakMemory())
  for (const process of services?.processes ?? []) peaks.watch(process.name, process.pid)
  const env = { ...secret, ...services?.env }
  const command = playing.use(shape.oneProcess === true ? oneProcess(env, peaks) : processEach(env, peaks))
  const played = await playPasses({ shape, setting, dir, receiver, services, command, peaks })
  const reached = await peaks.peaks()
  for (const [label, peak] of reached.each)
    if (peak >= MAX_MEGABYTES)
      played.problems.push(`${label} had ${peak} MB, and the most is ${MAX_MEGABYTES}`)
  return { name, profile: setting.profile, rows: shape.rows, peaks: reached, ...played }
}

interface Stage {
  readonly shape: Shape
  readonly setting: Setting
  readonly dir: string
  readonly receiver: ShapeReceiver
  readonly services: Distributed | null
  readonly command: CommandLine
  readonly peaks: PeakMemory
}

interface Passes {
  bytes: number
  readonly seconds: number[]
  readonly problems: string[]
}

/** Plays the passes up to the first that is not as it has to be. */
async function playPasses(stage: Stage): Promise<Passes> {
  const { shape, receiver } = stage
  const played: Passes = { bytes: 0, seconds: [], problems: [] }
  for (const [index, pass] of shape.passes.entries()) {
    await receiver.begin(index)
    await prepare(stage, pass)
    const startedAt = performance.now()
    const problems = await playPass(stage, pass)
    played.seconds.push((performance.now() - startedAt) / 1000)
    const { bytes, wrong, missing, repeated, samples } = await receiver.judge()
    played.bytes += bytes
    if (wrong + missing + repeated > 0)
      problems.push(
        `the receiver: ${wrong} wrong bodies, ${missing} rows missing, ${repeated} too often`,
        ...samples,
      )
    if (problems.length === 0) continue
    played.problems.push(...problems.map(problem => `pass ${index + 1}: ${problem}`))
    played.problems.push(...(await reasons(stage)))
    if (stage.services !== null) played.problems.push(...warnings(stage.services))
    break
  }
  return played
}

async function playPass(stage: Stage, pass: Pass): Promise<string[]> {
  const { shape, setting, dir, services, command } = stage
  const { passWithinMs } = setting
  const deaths = new AbortController()
  for (const { label, ended } of services?.processes ?? [])
    void ended.then(code => deaths.abort(`${label} ended with exit code ${String(code)}`))
  const late = AbortSignal.timeout(passWithinMs)
  const signal = AbortSignal.any([deaths.signal, late])
  const ended = await command.run(['run', ...asked(shape, services), '--json', '--dir', dir], { signal })
  if (late.aborted) return [`did not end in ${passWithinMs / 1000} s`]
  if (deaths.signal.aborted) return [String(deaths.signal.reason)]
  return judgeRuns(ended, { pass, countOf: selection => count(shape, selection) })
}

/** Services of their own run many syncs at once, and a folder runs one after the other. */
function asked(shape: Shape, services: Distributed | null): readonly string[] {
  const [name = '', ...others] = syncNames(shape)
  if (others.length === 0) return [name]
  return services === null ? ['--all'] : ['--all', '--together']
}

async function reasons({ shape, dir, command }: Stage): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of syncNames(shape).slice(0, SYNCS_ASKED)) {
    const args = ['failed', name, '--json', '--limit', '1000', '--dir', dir]
    const asked = await command.run(args, { signal: AbortSignal.timeout(ASKED_FOR_MS) })
    found.push(...reasonsOf(asked).map(reason => `${name}: ${reason}`))
  }
  return found
}

async function prepare(stage: Stage, pass: Pass): Promise<void> {
  const { dir, shape, setting, receiver } = stage
  if (pass.isCacheLost === true) await loseCache(stage)
  await writeProject(dir, shape, { pass, apiUrl: receiver.url, databases: setting.databases })
}

async function loseCache({ dir, services, peaks }: Stage): Promise<void> {
  if (services === null) return rm(join(dir, '.sluice/state'), { recursive: true })
  for (const detector of services.of('change-detector')) {
    await detector.stop()
    await rm(detector.dataDir, { recursive: true, force: true })
    await detector.start()
    peaks.watch(detector.name, detector.pid)
  }
}

function count(shape: Shape, selection: Pass['has']): number {
  let rows = 0
  for (let n = 1; n <= shape.rows; n += 1) if (isSelected(selection, n)) rows += 1
  return rows
}

/** The last of what the services logged that is no matter of course. */
function warnings({ processes }: Distributed): readonly string[] {
  return processes.flatMap(({ label, log }) =>
    log
      .filter(({ level }) => level >= WARN)
      .slice(-LOG_LINES_SHOWN)
      .map(line => `${label}: ${JSON.stringify(line)}`),
  )
}
