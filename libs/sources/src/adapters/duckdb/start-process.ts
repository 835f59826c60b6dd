/**
 * A process for one query of a user, which has nothing to lose. Its environment has only how memory is given
 * back, and the system bounds what it may take. However it ends, that is an error of its query alone.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { getCompileCacheDir } from 'node:module'
import { Socket } from 'node:net'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answer, type Answer, type Task } from './messages.ts'

const MAIN = fileURLToPath(new URL('./process/main.ts', import.meta.url))
const FLAGS = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=2', '--max-old-space-size=256']

/** The longest answer: the names and types of some thousand columns. */
const MAX_ANSWER_BYTES = 16_000_000
/**
 * What Node.js and DuckDB hold in memory beside what DuckDB's own limit counts. A process may grow by some 40
 * MB between two looks at it, and is to stay below 700 MB at the default of `SLUICE_MEMORY`.
 */
const RESIDENT_BYTES_BESIDE = 340_000_000
/** What they ask the system for, most of which they never touch. */
const RESERVED_BYTES_BESIDE = 1_700_000_000
const MAX_OPEN_FILES = 4096
const WATCHED_EVERY_MS = 50

export interface ProcessLimits {
  /** DuckDB's limit of memory. */
  readonly memoryBytes: number
  /** The largest file that it may write. */
  readonly fileBytes: number
  readonly cpuMs: number
}

/** What went wrong is told by `kind`, `answered` says what the process itself says. */
export type Ending =
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: 'ended'; readonly how: string }
  | { readonly kind: 'took too much memory' }
  | { readonly kind: 'took too much time' }

/**
 * States: waiting → at work → over. A process that waits keeps no other process from ending, and ends with
 * the process that started it.
 */
export class QueryProcess implements AsyncDisposable {
  readonly #limits: ProcessLimits
  readonly #child: ChildProcess
  readonly #over: Promise<string>
  #text = ''
  #hasTooMuchMemory = false

  private constructor(limits: ProcessLimits, child: ChildProcess) {
    this.#limits = limits
    this.#child = child
    child.stdout?.setEncoding('utf8').on('data', (piece: string) => this.#hear(piece))
    // Writing to a process that is gone fails; its end tells why.
    for (const stream of [child.stdin, child.stdout]) stream?.on('error', () => undefined)
    this.#over = new Promise(resolve => {
      child.once('error', error => resolve(`could not be started: ${error.message}`))
      child.once('close', (code, signal) =>
        resolve(signal === null ? `ended with exit code ${String(code)}` : `was ended by ${signal}`),
      )
    })
  }

  /** `program` is the file that Node.js runs; another one than the default is for tests. */
  static start(limits: ProcessLimits, program = MAIN): QueryProcess {
    const args = ['-c', limited(limits), process.execPath, ...FLAGS, program, ...compiledIn()]
    const child = spawn('/bin/sh', args, {
      cwd: '/',
      env: memorySettings(),
      stdio: ['pipe', 'pipe', 'ignore'],
      // An interrupt from the terminal reaches the process that started it, which then ends the query.
      detached: true,
    })
    const started = new QueryProcess(limits, child)
    started.#holdsOthers(false)
    return started
  }

  /** To be called once. Ends with the process, or, once the signal aborts, as soon as the process is gone. */
  async run(task: Task, signal: AbortSignal): Promise<Ending> {
    this.#holdsOthers(true)
    const kill = (): void => this.#kill()
    signal.addEventListener('abort', kill, { once: true })
    if (signal.aborted) kill()
    const watching = setInterval(() => this.#watch(), WATCHED_EVERY_MS)
    try {
      this.#child.stdin?.write(`${JSON.stringify(task)}\n`)
      const how = await this.#over
      if (this.#hasTooMuchMemory) return { kind: 'took too much memory' }
      if (how.includes('SIGXCPU')) return { kind: 'took too much time' }
      return this.#answer() ?? { kind: 'ended', how }
    } finally {
      clearInterval(watching)
      signal.removeEventListener('abort', kill)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // From here on somebody waits for its end.
    this.#holdsOthers(true)
    this.#kill()
    await this.#over
  }

  #hear(piece: string): void {
    this.#text += piece
    if (this.#text.length > MAX_ANSWER_BYTES || this.#text.includes('\n')) this.#kill()
  }

  /** Null unless the process has said exactly one thing, and that thing is an answer. */
  #answer(): Ending | null {
    const end = this.#text.indexOf('\n')
    if (end < 0 || end !== this.#text.length - 1) return null
    try {
      return { kind: 'answered', answer: answer.parse(JSON.parse(this.#text)) }
    } catch {
      return { kind: 'ended', how: 'gave an answer that makes no sense' }
    }
  }

  /** Linux tells how much memory a process holds. Elsewhere the bound of the system alone counts. */
  #watch(): void {
    const { pid } = this.#child
    if (pid === undefined || process.platform !== 'linux') return
    try {
      const held = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
      if (Number(held ?? 0) * 1024 <= this.#limits.memoryBytes + RESIDENT_BYTES_BESIDE) return
      this.#hasTooMuchMemory = true
      this.#kill()
    } catch {
      // The process is gone.
    }
  }

  #kill(): void {
    this.#child.kill('SIGKILL')
  }

  #holdsOthers(holds: boolean): void {
    const { stdin, stdout } = this.#child
    const pipes = [stdin, stdout].filter(pipe => pipe instanceof Socket)
    for (const part of [this.#child, ...pipes])
      if (holds) part.ref()
      else part.unref()
  }
}

/** How the allocators give memory back: as in this process (libs/runtime/bin/node-settings.mjs). */
function memorySettings(): NodeJS.ProcessEnv {
  const { MALLOC_ARENA_MAX, MALLOC_MMAP_THRESHOLD_, DUCKDB_JE_MALLOC_CONF } = process.env
  return { MALLOC_ARENA_MAX, MALLOC_MMAP_THRESHOLD_, DUCKDB_JE_MALLOC_CONF }
}

/**
 * The folder in which this process keeps compiled code, if it does. Node has a subfolder there per version.
 */
function compiledIn(): readonly string[] {
  const folder = getCompileCacheDir()
  return folder === undefined ? [] : [dirname(folder)]
}

/** Sets a limit unless a stricter one is in force, which stays. */
const LOWER = `lower() {
  now=$(ulimit -S"$1"); [ "$now" = unlimited ] || [ "$now" -gt "$2" ] || return 0
  ulimit -"\${3-}$1" "$2"
}`

/**
 * A script that becomes the program of its arguments, with less of everything. A system that does not know a
 * limit, or has a stricter one, keeps its own. The size of files is in blocks of 512 bytes.
 */
function limited({ memoryBytes, fileBytes, cpuMs }: ProcessLimits): string {
  const limits = [
    `n ${MAX_OPEN_FILES}`,
    `d ${Math.ceil((memoryBytes + RESERVED_BYTES_BESIDE) / 1024)}`,
    `f ${Math.ceil(fileBytes / 512)}`,
    // At the softer limit comes a signal that says so.
    `t ${Math.ceil(cpuMs / 1000)} S`,
  ]
  const lowered = limits.map(limit => `lower ${limit} 2>/dev/null`)
  return [
    LOWER,
    'ulimit -c 0 2>/dev/null',
    ...lowered,
    `ulimit -Ht ${Math.ceil(cpuMs / 1000) + 5} 2>/dev/null`,
    'umask 077',
    'exec "$0" "$@"',
  ].join('\n')
}
