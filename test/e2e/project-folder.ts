/**
 * A project folder of a test, in which the command `sluice` runs as a user would run it. A test that is not
 * about the process may run the command in its own process, which saves the time that loading takes.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { Readable } from 'node:stream'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AttemptsPage, ErrorBody, FailedPage, RunsPage, RunView } from '@sluice/contracts/api'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SLUICE = fileURLToPath(new URL('../../services/cli/bin/sluice.mjs', import.meta.url))

export interface Finished {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ProjectFolder extends AsyncDisposable {
  readonly dir: string
  /**
   * The file of the command, for processes that are started from now on. Default: the one of this version.
   */
  program: string
  write(file: string, content: string | Uint8Array): Promise<void>
  read(file: string): Promise<string>
  /** Runs `sluice ARGS --dir …` to its end, `here` or in a process of its own. */
  sluice(...args: readonly string[]): Promise<Finished>
  /** The same, with a text on its stdin. */
  sluiceWith(stdin: string, ...args: readonly string[]): Promise<Finished>
  /** Starts a process; the caller kills it or waits for it. */
  start(...args: readonly string[]): ChildProcess
  /** The same, in a process whose files cannot grow beyond a size, which acts like a full disk. */
  startLimited(limitKb: number, ...args: readonly string[]): ChildProcess
  /** `sluice run SYNC --json`. */
  run(sync: string): Promise<{ readonly exitCode: number | null; readonly view: RunView }>
  runs(): Promise<RunsPage['runs']>
  failed(sync: string): Promise<FailedPage['rows']>
  attempts(...args: readonly string[]): Promise<AttemptsPage['attempts']>
  error(...args: readonly string[]): Promise<{ readonly exitCode: number | null } & ErrorBody['error']>
}

export interface ProjectFolderOptions {
  /** A folder below the repository's root to copy. */
  readonly from?: string
  readonly files?: { readonly [file: string]: string }
  /** The folder's name. Default: a name that no other folder has. */
  readonly name?: string
  /** Added to the environment of the command. */
  readonly env: { readonly [name: string]: string }
  /** True: commands run in the process of the test, but for those that are started. Default: false. */
  readonly here?: boolean
}

/** An empty folder, or a copy of one. */
export async function projectFolder(options: ProjectFolderOptions): Promise<ProjectFolder> {
  const own = await mkdtemp(join(tmpdir(), 'sluice-e2e-'))
  const dir = options.name === undefined ? own : join(own, options.name)
  await mkdir(dir, { recursive: true })
  if (options.from !== undefined) await cp(join(ROOT, options.from), dir, { recursive: true })
  const folder = new Folder(dir, options)
  for (const [file, text] of Object.entries(options.files ?? {})) await folder.write(file, text)
  return folder
}

class Folder implements ProjectFolder {
  readonly dir: string
  program = SLUICE
  readonly #env: { readonly [name: string]: string }

  readonly #here: boolean

  constructor(dir: string, { env, here = false }: ProjectFolderOptions) {
    this.dir = dir
    this.#env = env
    this.#here = here
  }

  async write(file: string, content: string | Uint8Array): Promise<void> {
    const path = join(this.dir, file)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
  }

  read(file: string): Promise<string> {
    return readFile(join(this.dir, file), 'utf8')
  }

  start(...args: readonly string[]): ChildProcess {
    return this.#spawn(this.program, args)
  }

  startLimited(limitKb: number, ...args: readonly string[]): ChildProcess {
    return this.#spawn('bash', ['-c', `ulimit -f ${limitKb}; exec "$0" "$@"`, this.program, ...args])
  }

  #spawn(command: string, args: readonly string[], stdin: 'ignore' | 'pipe' = 'ignore'): ChildProcess {
    const { PATH, HOME, SLUICE_TEST_COVERAGE } = process.env
    const inherited = { PATH, HOME, SLUICE_TEST_COVERAGE }
    return spawn(command, [...args, '--dir', this.dir], {
      env: { ...inherited, ...this.#env },
      stdio: [stdin, 'pipe', 'pipe'],
    })
  }

  sluice(...args: readonly string[]): Promise<Finished> {
    return this.#here ? this.#runHere(args) : finished(this.start(...args))
  }

  sluiceWith(stdin: string, ...args: readonly string[]): Promise<Finished> {
    if (this.#here) return this.#runHere(args, stdin)
    const child = this.#spawn(this.program, args, 'pipe')
    child.stdin?.end(stdin)
    return finished(child)
  }

  async #runHere(args: readonly string[], stdin = ''): Promise<Finished> {
    const { runCli } = await import('@sluice/cli/run-cli')
    const printed = { stdout: '', stderr: '' }
    const exitCode = await runCli({
      argv: [...args, '--dir', this.dir],
      cwd: this.dir,
      env: this.#env,
      stdin: Readable.from([stdin]),
      stdout: { write: text => (printed.stdout += text) },
      stderr: { write: text => (printed.stderr += text) },
      signal: new AbortController().signal,
    })
    return { exitCode, ...printed }
  }

  async run(sync: string): Promise<{ readonly exitCode: number | null; readonly view: RunView }> {
    const { exitCode, stdout, stderr } = await this.sluice('run', sync, '--json')
    return { exitCode, view: parse(stdout, stderr) }
  }

  async runs(): Promise<RunsPage['runs']> {
    return (await this.#pages<RunsPage>('runs')).flatMap(page => page.runs)
  }

  async failed(sync: string): Promise<FailedPage['rows']> {
    return (await this.#pages<FailedPage>('failed', sync)).flatMap(page => page.rows)
  }

  async attempts(...args: readonly string[]): Promise<AttemptsPage['attempts']> {
    return (await this.#pages<AttemptsPage>('attempts', ...args)).flatMap(page => page.attempts)
  }

  async error(
    ...args: readonly string[]
  ): Promise<{ readonly exitCode: number | null } & ErrorBody['error']> {
    const { exitCode, stdout, stderr } = await this.sluice(...args, '--json')
    return { exitCode, ...parse<ErrorBody>(stdout, stderr).error }
  }

  /** All pages of a list, so that no test takes what stands on the second one for missing. */
  async #pages<T extends { readonly next: string | null }>(...args: readonly string[]): Promise<T[]> {
    const pages: T[] = []
    for (let after: readonly string[] = []; ;) {
      const { stdout, stderr } = await this.sluice(...args, ...after, '--limit', '1000', '--json')
      const page: T = parse(stdout, stderr)
      pages.push(page)
      if (page.next === null) return pages
      after = ['--after', page.next]
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true, force: true })
  }
}

/** Waits for a child process to end, and returns its output. */
export async function finished(child: ChildProcess): Promise<Finished> {
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { exitCode, stdout, stderr }
}

function parse<T>(stdout: string, stderr: string): T {
  try {
    const value: T = JSON.parse(stdout)
    return value
  } catch {
    throw new Error(`expected JSON on stdout, found ${JSON.stringify(stdout)}; stderr: ${stderr}`)
  }
}
