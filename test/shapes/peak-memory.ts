/**
 * The most memory that processes had resident, as Linux counts it: those that a shape starts, and those that
 * they start themselves, such as the one of a query on files. Both for each process alone (VmHWM of
 * /proc/PID/status) and for a process and its children together (the sum of VmRSS at one moment, in which
 * pages that two of them share count twice).
 */
import { readdir, readFile } from 'node:fs/promises'
import { basename } from 'node:path'

const EVERY_MS = 50
/** Names of child processes, by a part of their command line. Others are called by their program. */
const QUERY = /sources\/src\/adapters\/duckdb\/process\/main\.ts|\/query\.mjs/

export interface Peaks {
  /** MB (of 10^6 bytes) by process: that of a label, or `<label> › <program>` for a child. */
  readonly each: ReadonlyMap<string, number>
  /** MB of a process and all that it started, at the worst moment, by label. */
  readonly together: ReadonlyMap<string, number>
}

/** Looks at processes while they live. It may miss what a process had in its last moments, and no more. */
export class PeakMemory implements Disposable {
  readonly #watched = new Map<number, string>()
  /** The parent of each process that the system lists. */
  readonly #parents = new Map<number, number>()
  readonly #each = new Map<string, number>()
  readonly #together = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #sampling: Promise<void> | null = null

  constructor() {
    this.#timer = setInterval(() => void this.#sample(), EVERY_MS)
  }

  /** Watches one more process; the peak of a label is the highest of all its processes. */
  watch(label: string, pid: number | undefined): void {
    if (pid !== undefined) this.#watched.set(pid, label)
  }

  /** Up to now. */
  async peaks(): Promise<Peaks> {
    await this.#sampling
    await this.#sample()
    return { each: this.#each, together: this.#together }
  }

  /** A sample that takes longer than the pause between two is not joined by a second one. */
  #sample(): Promise<void> {
    this.#sampling ??= this.#sampleOnce().finally(() => (this.#sampling = null))
    return this.#sampling
  }

  async #sampleOnce(): Promise<void> {
    if (this.#watched.size === 0) return
    await this.#list()
    await Promise.all([...this.#watched].map(([pid, label]) => this.#sampleTree(pid, label)))
  }

  async #sampleTree(root: number, label: string): Promise<void> {
    const own = await memoryOf(root)
    if (own === null) return void this.#watched.delete(root)
    raise(this.#each, label, own.peak)
    let together = own.present
    const program = await commandOf(root)
    for (const pid of this.#below(root)) {
      const [memory, command] = [await memoryOf(pid), await commandOf(pid)]
      // Between fork and exec a child is a copy of its parent, whose memory is not its own.
      if (memory === null || command === null || command === program) continue
      raise(this.#each, `${label} › ${nameOf(command)}`, memory.peak)
      together += memory.present
    }
    raise(this.#together, label, together)
  }

  /** All that a process started, and all that these started. */
  #below(root: number): readonly number[] {
    const found = [root]
    for (const above of found)
      for (const [pid, parent] of this.#parents) if (parent === above) found.push(pid)
    return found.slice(1)
  }

  /** A process keeps its parent as long as that lives, so each is looked at once. */
  async #list(): Promise<void> {
    const names = await readdir('/proc')
    const pids = new Set(names.filter(name => /^\d+$/.test(name)).map(Number))
    for (const pid of this.#parents.keys()) if (!pids.has(pid)) this.#parents.delete(pid)
    await Promise.all(
      [...pids].map(async pid => {
        if (this.#parents.has(pid)) return
        const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
        if (stat === null) return
        // The name of the program stands in parentheses and may contain anything.
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        this.#parents.set(pid, Number(fields[1]))
      }),
    )
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

function raise(peaks: Map<string, number>, label: string, megabytes: number): void {
  peaks.set(label, Math.max(peaks.get(label) ?? 0, megabytes))
}

/** MB now and at most; null once the process is gone. */
async function memoryOf(pid: number): Promise<{ readonly peak: number; readonly present: number } | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => null)
  if (status === null) return null
  const megabytes = (name: string): number => {
    const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
    return Math.round((Number(kibibytes ?? 0) * 1024) / 1e6)
  }
  return { peak: megabytes('VmHWM'), present: megabytes('VmRSS') }
}

async function commandOf(pid: number): Promise<string | null> {
  return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => null)
}

function nameOf(command: string): string {
  return QUERY.test(command) ? 'query' : basename(command.split('\0')[0] ?? '')
}
