/**
 * How long a thread that others wait for goes on rendering. A render that takes longer is given up with a
 * `SlowRender`, so that another thread can do it from its beginning. The result is the same there.
 */

/** Thrown out of `render`: it took too long here. It says nothing of the template. */
export class SlowRender extends Error {
  override readonly name = 'SlowRender'
}

/**
 * Milliseconds until the processor's time is looked at, and then of that time. Others share the processor.
 */
const LOOK_MS = 15
const MOST_CPU_MS = 35
/** A longer text takes long to be checked, in UTF-16 units. */
const MOST_TEXT = 2_000_000
/** Reading the clock for each of many short renders would cost more than they do. */
const RENDERS_PER_LOOK = 16

/** For one batch, however many renders that takes. */
export class Patience {
  #since: number | null = null
  #cpuSince: number | null = null
  #renders = 0

  /** A render begins. Throws as `check` does. */
  begin(): void {
    this.#renders += 1
    if (this.#renders % RENDERS_PER_LOOK === 0) this.check()
  }

  /** Throws a `SlowRender` once it took too long since the first check. */
  check(): void {
    const now = performance.now()
    this.#since ??= now
    if (now - this.#since < LOOK_MS) return
    const cpu = cpuMs()
    this.#cpuSince ??= cpu
    if (cpu - this.#cpuSince > MOST_CPU_MS) throw new SlowRender('the render takes long')
  }

  /** The same for a rendered text, before it is checked. */
  checkText(text: string): void {
    if (text.length > MOST_TEXT) throw new SlowRender('the rendered text is long')
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
