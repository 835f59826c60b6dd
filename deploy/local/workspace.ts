import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { cp, readdir, readFile, rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * The watchdog reads its standard input, to which nobody writes. The input ends when the process at the other
 * end is gone, even by kill -9. Then the watchdog kills every process group and container that has registered
 * itself in the folder, and removes the folder.
 */
const WATCHDOG = `
cat >/dev/null
[ -d "$1" ] || exit 0
: >"$1/closed"
for file in "$1"/pids/*; do [ -e "$file" ] && kill -s KILL -- "-\${file##*/}" 2>/dev/null; done
for file in "$1"/containers/*; do [ -e "$file" ] && docker rm -f "\${file##*/}" >/dev/null 2>&1; done
rm -rf "$1" 2>/dev/null || { sleep 1; rm -rf "$1"; }
`

/** The starter registers itself before it becomes the service, so that the watchdog cannot miss it. */
const STARTER = `
folder=$1; shift
: >"$folder/pids/$$" || exit 1
[ -e "$folder/closed" ] && exit 1
exec "$@"
`

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>
  /** User to run as; only root may name one. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
}

/** A process of the workspace. It writes stdout and stderr to its log file. */
export interface ServiceProcess {
  readonly pid: number
  /** Settles when the process has ended; says how, as text for an error message. */
  readonly ended: Promise<string>
  readonly running: boolean
  /** Sends a signal to the whole process group. */
  signal(name: NodeJS.Signals): void
  /** Asks it to end, kills it after `graceMs`, resolves once it is gone. */
  stop(graceMs: number): Promise<void>
}

/**
 * One temporary folder for everything that a set of services writes, and the promise that neither folder nor
 * processes outlive the process that made it. States: open → closed.
 */
export class Workspace {
  readonly folder: string
  readonly #watchdog: ChildProcess
  readonly #processes = new Set<ServiceProcess>()
  #closed = false

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'sluice-services-'))
    // Database servers refuse to run as root; the user that they run as must reach its folder below this one.
    chmodSync(this.folder, 0o711)
    for (const name of ['pids', 'containers', 'logs', 'data']) mkdirSync(join(this.folder, name))
    for (const name of ['pids', 'logs']) chmodSync(join(this.folder, name), 0o1777)
    chmodSync(join(this.folder, 'data'), 0o711)
    this.#watchdog = spawn('sh', ['-c', WATCHDOG, 'sluice-services-watchdog', this.folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    this.#watchdog.unref()
    // The pipe alone must not keep the process alive.
    if (this.#watchdog.stdin instanceof Socket) this.#watchdog.stdin.unref()
  }

  /** Makes and returns a folder for the data of one service. */
  dataFolder(service: string): string {
    const folder = join(this.folder, 'data', service)
    mkdirSync(folder, { recursive: true })
    return folder
  }

  logFile(service: string): string {
    return join(this.folder, 'logs', `${service}.log`)
  }

  /** The end of a service's log, for error messages. */
  async logTail(service: string, lines = 20): Promise<string> {
    const text = await readFile(this.logFile(service), 'utf8').catch(() => '')
    return text.trimEnd().split('\n').slice(-lines).join('\n')
  }

  /** The container is removed with the workspace, whatever happens to this process. */
  registerContainer(name: string): void {
    closeSync(openSync(join(this.folder, 'containers', name), 'w'))
  }

  spawn(service: string, command: readonly string[], options: SpawnOptions = {}): ServiceProcess {
    if (this.#closed) throw new Error(`the services are stopped: ${service} cannot be started any more`)
    const log = openSync(this.logFile(service), 'a', 0o666)
    const child = spawn('sh', ['-c', STARTER, 'sluice-service', this.folder, ...command], {
      cwd: this.folder,
      // Its own process group: a Ctrl-C on the terminal must not reach it before its users.
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...options.env },
      ...(options.user === undefined ? {} : { uid: options.user.uid, gid: options.user.gid }),
    })
    closeSync(log)
    child.unref()
    const started = watch(child, this.folder)
    this.#processes.add(started)
    void started.ended.then(() => this.#processes.delete(started))
    return started
  }

  /**
   * Kills what runs and removes the folder; with `keepLogs` the logs are copied beside it first, and their
   * place is returned.
   */
  async close(options: { keepLogs: boolean }): Promise<string | null> {
    if (this.#closed) return null
    this.#closed = true
    await Promise.all([...this.#processes].map(running => running.stop(0)))
    const logs = join(this.folder, 'logs')
    const worthIt = options.keepLogs && (await readdir(logs)).length > 0
    const kept = worthIt ? `${this.folder}-logs` : null
    if (kept !== null) await cp(logs, kept, { recursive: true })
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    this.#watchdog.stdin?.end()
    return kept
  }
}

function watch(child: ChildProcess, folder: string): ServiceProcess {
  const pid = child.pid
  let running = true
  const ended = new Promise<string>(resolve => {
    child.once('error', error => resolve(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code ?? 'unknown'}`))
  }).then(how => {
    running = false
    if (pid !== undefined) rmSync(join(folder, 'pids', String(pid)), { force: true })
    return how
  })
  const signal = (name: NodeJS.Signals): void => {
    if (pid === undefined || !running) return
    try {
      process.kill(-pid, name)
    } catch {
      // It has ended meanwhile, which is all that a signal could ask for.
    }
  }
  return {
    pid: pid ?? -1,
    ended,
    get running() {
      return running
    },
    signal,
    stop: async graceMs => {
      // From here on somebody waits for the end of the process. Without `ref`, the event loop might end
      // before.
      child.ref()
      if (graceMs > 0) {
        signal('SIGTERM')
        const timer = setTimeout(() => signal('SIGKILL'), graceMs)
        await ended
        clearTimeout(timer)
      } else {
        signal('SIGKILL')
        await ended
      }
    },
  }
}
