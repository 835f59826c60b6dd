/** The most memory that processes ever had resident, as Linux counts it (VmHWM of /proc/PID/status). */
import { readFile } from 'node:fs/promises'

const EVERY_MS = 50

/** Looks at processes while they live. It may miss what a process had in its last moments, and no more. */
export class PeakMemory implements Disposable {
  readonly #pids = new Map<number, string>()
  readonly #megabytes = new Map<string, number>()
  readonly #timer: NodeJS.Timeout

  constructor() {
    this.#timer = setInterval(() => void this.sample(), EVERY_MS)
  }

  /** Watches one more process; the peak of a label is the highest of all its processes. */
  watch(label: string, pid: number | undefined): void {
    if (pid !== undefined) this.#pids.set(pid, label)
  }

  /** MB (of 10^6 bytes) by label, up to now. */
  async peaks(): Promise<ReadonlyMap<string, number>> {
    await this.sample()
    return this.#megabytes
  }

  async sample(): Promise<void> {
    await Promise.all(
      [...this.#pids].map(async ([pid, label]) => {
        const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => null)
        const kibibytes = status === null ? null : /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
        if (kibibytes === null) this.#pids.delete(pid)
        const megabytes = Math.round((Number(kibibytes ?? 0) * 1024) / 1e6)
        this.#megabytes.set(label, Math.max(this.#megabytes.get(label) ?? 0, megabytes))
      }),
    )
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
