/**
 * Limits the work of one render. The limits count work and not time, so that a template gives the same result
 * on a slower machine. The clock is only a last fuse, far beyond the limits. The limits grow with the rows.
 * The first render has the limits that rows usually need. If these are not enough, a second render has the
 * limits that the size of these rows justifies.
 */
import { Decimal } from '@sluice/contracts/values'

/**
 * `render` throws this if it takes too long for a thread that others wait for. It says nothing of the
 * template, since another thread can render the same from its beginning.
 */
export class SlowRender extends Error {
  override readonly name = 'SlowRender'
}

/** After this many milliseconds, the processor time of a batch is counted. */
const MIN_MS = 15
/**
 * From then on, the batch may take this much processor time. A clock would also count the time of other
 * threads.
 */
const MAX_CPU_MS = 35
/** The longest text, in UTF-16 units, that is checked without making others wait for long. */
const MAX_TEXT_LENGTH = 2_000_000
/** The clock is read once in this many renders, since reading it may cost more than a short render. */
const RENDERS_PER_CHECK = 16

/** Bounds the processor time of one batch, however many renders it takes. */
export class Patience {
  #since: number | null = null
  #cpuSince: number | null = null
  #renders = 0

  /** Notes that a render begins. Throws as `check` does. */
  begin(): void {
    this.#renders += 1
    if (this.#renders % RENDERS_PER_CHECK === 0) this.check()
  }

  /** Throws a `SlowRender` once the batch has taken too long since the first check. */
  check(): void {
    const now = performance.now()
    this.#since ??= now
    if (now - this.#since < MIN_MS) return
    const cpu = cpuMs()
    this.#cpuSince ??= cpu
    if (cpu - this.#cpuSince > MAX_CPU_MS) throw new SlowRender('the render takes long')
  }

  /** Throws a `SlowRender` for a rendered text that takes long to be checked. */
  checkText(text: string): void {
    if (text.length > MAX_TEXT_LENGTH) throw new SlowRender('the rendered text is long')
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

export interface RenderLimits {
  /** Nodes of the template that a render passes, counted again in each pass of a loop. */
  readonly steps: number
  /** All characters and list items that filters make. */
  readonly memory: number
  /** Milliseconds. */
  readonly timeMs: number
}

/** The longest template, in UTF-16 units. */
export const MAX_TEMPLATE_LENGTH = 200_000
/** The longest text that a template may render, in UTF-16 units. */
export const MAX_OUTPUT_LENGTH = 16_000_000

const STEPS = 200_000
const STEPS_PER_ROW = 500
const STEPS_PER_UNIT = 4
const MEMORY = 8_000_000
const MEMORY_PER_ROW = 20_000
const MEMORY_PER_UNIT = 16
/** The size of rows adds at most this, unless the rows themselves are larger than that. */
const MAX_EXTRA_MEMORY = 56_000_000
const TIME_MS = 2_000
const TIME_MS_PER_ROW = 1

/** Returns the limits for the first render. */
export function usualLimits(rowCount: number): RenderLimits {
  return {
    steps: STEPS + STEPS_PER_ROW * rowCount,
    memory: MEMORY + MEMORY_PER_ROW * rowCount,
    timeMs: TIME_MS + TIME_MS_PER_ROW * rowCount,
  }
}

/** Returns the limits for rows of this size. They are never below the usual ones. */
export function limitsFor(rowCount: number, values: readonly unknown[]): RenderLimits {
  const usual = usualLimits(rowCount)
  const size = sizeOf(values)
  return {
    steps: usual.steps + STEPS_PER_UNIT * size,
    memory: usual.memory + Math.max(3 * size, Math.min(MEMORY_PER_UNIT * size, MAX_EXTRA_MEMORY)),
    timeMs: usual.timeMs + size / 1000,
  }
}

/** Adds up the characters, bytes, list items and fields of a value. */
function sizeOf(value: unknown): number {
  let size = 0
  const open: unknown[] = [value]
  while (open.length > 0) {
    const next = open.pop()
    size += 1
    if (typeof next === 'string') size += next.length
    else if (next instanceof Uint8Array) size += next.byteLength
    else if (next instanceof Decimal) size += next.text.length
    else if (typeof next === 'object' && next !== null)
      for (const item of Object.values(next)) open.push(item)
  }
  return size
}
