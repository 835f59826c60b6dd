/**
 * The distributed profile in a test: any number of processes of each service. They use the Kafka, registry
 * and Redis that test/services.ts gives, under a prefix of their own. A test can kill, freeze, stop and
 * restart processes. Their logs are kept.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { inject } from 'vitest'

const SLUICE = fileURLToPath(new URL('../../services/cli/bin/sluice.mjs', import.meta.url))
const START_WITHIN_MS = 60_000
const STOP_WITHIN_MS = 40_000
const LOG_LINES_KEPT = 5_000

export const SERVICE_NAMES = ['change-detector', 'renderer', 'delivery'] as const
export type ServiceName = (typeof SERVICE_NAMES)[number]
/** A console does no work of a run, so it is there only if a test adds it. */
export type ProcessName = ServiceName | 'console'

/** A line that a service logged. */
export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

type Env = { readonly [name: string]: string }

/**
 * Addresses of the real services. Null if one of them is not available; then the tests that need them are
 * skipped.
 */
export function realServices(): Env | null {
  const brokers = inject('kafkaBrokers')
  const registry = inject('registryUrl')
  const redis = inject('redisUrl')
  if (brokers === null || registry === null || redis === null) return null
  return {
    SLUICE_KAFKA_BROKERS: brokers,
    SLUICE_SCHEMA_REGISTRY_URL: registry,
    SLUICE_REDIS_URL: redis,
  }
}

export interface DistributedOptions {
  /** The number of processes of each service; default one. */
  readonly counts?: { readonly [name in ServiceName]?: number }
  /** Addresses of the real services; default: those that test/services.ts gives. */
  readonly services?: Env
  /** Added to the environment of all services: secrets, time-outs, other addresses (a fault proxy's). */
  readonly env?: Env
  /** The file of the command that the processes are started with. Default: the one of this version. */
  readonly program?: string
}

export interface Distributed extends AsyncDisposable {
  readonly prefix: string
  /** The environment with which `sluice` reaches these services. */
  readonly env: Env
  /** All processes, in the order in which they were added. */
  readonly processes: readonly ServiceProcess[]
  /** The processes of one service. */
  of(name: ProcessName): readonly ServiceProcess[]
  /** Starts one more process. Resolves once it takes work. `heapMb`: what V8 may take, if not as usual. */
  add(name: ProcessName, env?: Env, heapMb?: number): Promise<ServiceProcess>
  /** The ends of all logs, for a failed test to print. */
  logs(lines?: number): string
}

/** Starts the services and resolves once all of them take work. */
export async function startDistributed(options: DistributedOptions = {}): Promise<Distributed> {
  const found = options.services ?? realServices()
  if (found === null) throw new Error('Kafka, the schema registry and Redis are wanted')
  const prefix = `test-${randomBytes(5).toString('hex')}`
  const services = new Services(await mkdtemp(join(tmpdir(), 'sluice-distributed-')), {
    ...found,
    SLUICE_PREFIX: prefix,
    SLUICE_PORT: '0',
    SLUICE_HOST: '127.0.0.1',
    ...options.env,
  })
  services.program = options.program ?? SLUICE
  try {
    const starting = SERVICE_NAMES.flatMap(name =>
      Array.from({ length: options.counts?.[name] ?? 1 }, () => services.add(name)),
    )
    await Promise.all(starting)
    return services
  } catch (error) {
    process.stderr.write(services.logs())
    await services[Symbol.asyncDispose]()
    throw error
  }
}

class Services implements Distributed {
  readonly prefix: string
  readonly env: Env
  readonly processes: ServiceProcess[] = []
  program = SLUICE
  readonly #dir: string

  constructor(dir: string, env: Env) {
    this.#dir = dir
    this.env = env
    this.prefix = env['SLUICE_PREFIX'] ?? ''
  }

  of(name: ProcessName): readonly ServiceProcess[] {
    return this.processes.filter(process => process.name === name)
  }

  async add(name: ProcessName, env: Env = {}, heapMb?: number): Promise<ServiceProcess> {
    const label = `${name}-${this.of(name).length + 1}`
    const dataDir = join(this.#dir, label)
    const added = new ServiceProcess(name, label, { ...this.env, SLUICE_DATA_DIR: dataDir, ...env })
    added.heapMb = heapMb
    added.program = this.program
    this.processes.push(added)
    await added.start()
    return added
  }

  logs(lines = 100): string {
    return this.processes.map(({ label, log }) => `${label}:\n${shown(log.slice(-lines))}\n`).join('')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.processes.map(process => process[Symbol.asyncDispose]()))
    await rm(this.#dir, { recursive: true, force: true })
  }
}

function shown(lines: readonly LogLine[]): string {
  return lines.map(line => `  ${JSON.stringify(line)}`).join('\n')
}

/** One service's process, which may be started again after it ended. States: stopped ⇄ running ⇄ frozen. */
export class ServiceProcess implements AsyncDisposable {
  readonly name: ProcessName
  readonly label: string
  /** Its log lines, over all its starts. */
  readonly log: LogLine[] = []
  readonly dataDir: string
  /** The limit of V8's heap from the next start on, if not as usual. */
  heapMb: number | undefined
  /** The file of the command that it is started with from the next start on. */
  program = SLUICE
  readonly #env: Env
  readonly #watchers = new Set<() => void>()
  #child: ChildProcess | null = null
  #ended: Promise<number | null> = Promise.resolve(null)
  /** Lines before the latest start. */
  #startedAt = 0

  constructor(name: ProcessName, label: string, env: Env) {
    this.name = name
    this.label = label
    this.dataDir = env['SLUICE_DATA_DIR'] ?? ''
    this.#env = env
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.label} is not running`)
    return pid
  }

  get running(): boolean {
    return this.#child !== null
  }

  /** Base URL of `/healthz`, `/readyz` and `/metrics`. */
  get url(): string {
    const line = this.log.findLast(({ msg }) => msg === 'starting')
    return `http://127.0.0.1:${String(line?.['port'])}`
  }

  /** Resolves with the exit code when the present process ends; null if a signal ended it. */
  get ended(): Promise<number | null> {
    return this.#ended
  }

  /** Starts it and resolves once it takes work; rejects if it ends before. */
  async start(): Promise<void> {
    this.spawn()
    await this.logged(line => line.msg === 'started')
  }

  /** Starts it without waiting. */
  spawn(): void {
    if (this.#child !== null) throw new Error(`${this.label} is running already`)
    const { PATH, HOME } = process.env
    const heap = this.heapMb === undefined ? [] : [`--max-old-space-size=${this.heapMb}`]
    // Flags of the process come after those that it starts itself again with, and the last one counts.
    const child = spawn(process.execPath, [...heap, this.program, 'service', this.name], {
      // Sources of tests lie in temporary folders, and in databases of this machine.
      env: {
        PATH,
        HOME,
        SLUICE_SOURCE_ROOTS: '/',
        SLUICE_SOURCE_PRIVATE_NETWORKS: 'allowed',
        ...this.#env,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const onParentExit = (): void => void child.kill('SIGKILL')
    process.once('exit', onParentExit)
    this.#child = child
    this.#startedAt = this.log.length
    createInterface({ input: child.stderr }).on('line', text => this.#take(text))
    this.#ended = once(child, 'close').then(([code]) => {
      process.removeListener('exit', onParentExit)
      this.#child = null
      for (const watch of this.#watchers) watch()
      return typeof code === 'number' ? code : null
    })
  }

  /**
   * Waits for a line of the present start, which may have come before. Rejects if the process ends without
   * it.
   */
  async logged(matches: (line: LogLine) => boolean, withinMs = START_WITHIN_MS): Promise<LogLine> {
    const { promise, resolve, reject } = Promise.withResolvers<LogLine>()
    const from = this.#startedAt
    const watch = (): void => {
      const line = this.log.slice(from).find(matches)
      if (line !== undefined) resolve(line)
      else if (this.#child === null) reject(new Error(`${this.label} ended:\n${shown(this.log.slice(-20))}`))
    }
    const timer = setTimeout(
      () => reject(new Error(`${this.label} did not log that in ${withinMs} ms`)),
      withinMs,
    )
    this.#watchers.add(watch)
    watch()
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#watchers.delete(watch)
    }
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    const child = this.#child
    if (child === null) return this.#ended
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
    child.kill('SIGTERM')
    const code = await this.#ended
    clearTimeout(timer)
    return code
  }

  /** SIGKILL; resolves once it is gone. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#ended
  }

  /** SIGTERM, and a new process on the same data. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** SIGSTOP: its connections stay open and nothing answers. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  /** SIGCONT. */
  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.thaw()
    await this.stop()
  }

  #take(text: string): void {
    this.log.push(parsed(text))
    // The lines of the present start have to stay.
    if (this.log.length > LOG_LINES_KEPT) {
      this.log.splice(this.#startedAt, 1)
    }
    for (const watch of this.#watchers) watch()
  }
}

/** A log line, or other text on stderr. */
function parsed(text: string): LogLine {
  try {
    const line: LogLine = JSON.parse(text)
    return line
  } catch {
    return { level: 50, msg: text }
  }
}
