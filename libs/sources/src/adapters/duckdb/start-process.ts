/**
 * A process for one query of a user. Its environment holds only the allocators' settings, and the system
 * limits its memory, files and time. However it ends, only its query fails.
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

/** The names and types of some thousand columns fit into this. */
const MAX_ANSWER_BYTES = 16_000_000
/**
 * The memory that Node.js and DuckDB may hold beyond DuckDB's own limit. A process may grow by some 40 MB
 * between two checks, and has to stay below 700 MB at the default of `SLUICE_MEMORY`.
 */
const MAX_RESIDENT_BYTES_BESIDE = 340_000_000
/** The address space that Node.js and DuckDB may reserve beyond that limit. They never use most of it. */
const MAX_RESERVED_BYTES_BESIDE = 1_700_000_000
const MAX_OPEN_FILES = 4096
const CHECK_MS = 50

export interface ProcessLimits {
  /** DuckDB's own limit. */
  readonly memoryBytes: number
  /** The largest file that it may write. */
  readonly fileBytes: number
  readonly cpuMs: number
}

/** How a process ended. Only `answered` comes from the process itself. */
export type Ending =
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: 'ended'; readonly how: string }
  | { readonly kind: 'took too much memory' }
  | { readonly kind: 'took too much time' }

/**
 * States: waiting → at work → over. While it waits, it does not keep its parent process alive. It ends when
 * its parent ends.
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
    child.stdout?.setEncoding('utf8').on('data', (piece: string) => this.#read(piece))
    // Writing to a process that has ended fails. `#over` has the reason.
    for (const stream of [child.stdin, child.stdout]) stream?.on('error', () => undefined)
    this.#over = new Promise(resolve => {
      child.once('error', error => resolve(`could not be started: ${error.message}`))
      child.once('close', (code, signal) =>
        resolve(signal === null ? `ended with exit code ${String(code)}` : `was ended by ${signal}`),
      )
    })
  }

  /** `program` is the file that Node.js runs. Tests give another one. */
  static start(limits: ProcessLimits, program = MAIN): QueryProcess {
    const args = ['-c', limited(limits), process.execPath, ...FLAGS, program, ...compileCache()]
    const child = spawn('/bin/sh', args, {
      cwd: '/',
      env: memorySettings(),
      stdio: ['pipe', 'pipe', 'ignore'],
      // So an interrupt from the terminal reaches only the parent process, which then ends the query.
      detached: true,
    })
    const started = new QueryProcess(limits, child)
    started.#keepAlive(false)
    return started
  }

  /**
   * Runs one task, and must be called once. Resolves when the process has ended. The signal kills the
   * process.
   */
  async run(task: Task, signal: AbortSignal): Promise<Ending> {
    this.#keepAlive(true)
    const kill = (): void => this.#kill()
    signal.addEventListener('abort', kill, { once: true })
    if (signal.aborted) kill()
    const watching = setInterval(() => this.#checkMemory(), CHECK_MS)
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
    // The caller waits until the process has ended.
    this.#keepAlive(true)
    this.#kill()
    await this.#over
  }

  #read(piece: string): void {
    this.#text += piece
    if (this.#text.length > MAX_ANSWER_BYTES || this.#text.includes('\n')) this.#kill()
  }

  /** Returns the answer; null unless the process has written exactly one line. */
  #answer(): Ending | null {
    const end = this.#text.indexOf('\n')
    if (end < 0 || end !== this.#text.length - 1) return null
    try {
      return { kind: 'answered', answer: answer.parse(JSON.parse(this.#text)) }
    } catch {
      return { kind: 'ended', how: 'gave an answer that makes no sense' }
    }
  }

  /**
   * Kills a process that holds too much memory. Only Linux shows that; elsewhere only the system's limit
   * counts.
   */
  #checkMemory(): void {
    const { pid } = this.#child
    if (pid === undefined || process.platform !== 'linux') return
    try {
      const held = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
      if (Number(held ?? 0) * 1024 <= this.#limits.memoryBytes + MAX_RESIDENT_BYTES_BESIDE) return
      this.#hasTooMuchMemory = true
      this.#kill()
    } catch {
      // The process has ended.
    }
  }

  #kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** Sets whether the query's process keeps its parent process alive. */
  #keepAlive(keeps: boolean): void {
    const { stdin, stdout } = this.#child
    const pipes = [stdin, stdout].filter(pipe => pipe instanceof Socket)
    for (const part of [this.#child, ...pipes])
      if (keeps) part.ref()
      else part.unref()
  }
}

/** The allocators' settings are those of this process (libs/runtime/bin/node-settings.mjs). */
function memorySettings(): NodeJS.ProcessEnv {
  const { MALLOC_ARENA_MAX, MALLOC_MMAP_THRESHOLD_, DUCKDB_JE_MALLOC_CONF } = process.env
  return { MALLOC_ARENA_MAX, MALLOC_MMAP_THRESHOLD_, DUCKDB_JE_MALLOC_CONF }
}

/** Returns the folder of this process's compiled code, if it has one. Node adds a subfolder per version. */
function compileCache(): readonly string[] {
  const folder = getCompileCacheDir()
  return folder === undefined ? [] : [dirname(folder)]
}

/** A shell function that sets a limit unless a stricter one is in force. */
const LOWER = `lower() {
  now=$(ulimit -S"$1"); [ "$now" = unlimited ] || [ "$now" -gt "$2" ] || return 0
  ulimit -"\${3-}$1" "$2"
}`

/**
 * Returns a script that sets limits and then becomes the program of its arguments. A system that does not
 * know a limit keeps its own. `ulimit` counts files in blocks of 512 bytes.
 */
function limited({ memoryBytes, fileBytes, cpuMs }: ProcessLimits): string {
  const limits = [
    `n ${MAX_OPEN_FILES}`,
    `d ${Math.ceil((memoryBytes + MAX_RESERVED_BYTES_BESIDE) / 1024)}`,
    `f ${Math.ceil(fileBytes / 512)}`,
    // The soft limit sends SIGXCPU, by which `run` knows the reason.
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
