/**
 * How much work one render may do. The limits count work and not time, so that a template that was rendered
 * once gives the same result on a slower machine. The clock is only a last fuse, far beyond the limits. The
 * limits grow with the rows. A first try has the limits that rows usually need. If these are not enough, one
 * more try has the limits that the size of these rows justifies.
 */
import { Decimal } from '@sluice/contracts/values'

/**
 * Thrown out of `render`: it took too long for a thread that others wait for. Another thread can do it from
 * its beginning, with the same result, so this says nothing of the template.
 */
export class SlowRender extends Error {
  override readonly name = 'SlowRender'
}

/**
 * Milliseconds until the processor's time is looked at, and then of that time. Others share the processor.
 */
const LOOK_MS = 15
const MAX_CPU_MS = 35
/** A longer text takes long to be checked, in UTF-16 units. */
const MAX_TEXT = 2_000_000
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
    if (cpu - this.#cpuSince > MAX_CPU_MS) throw new SlowRender('the render takes long')
  }

  /** The same for a rendered text, before it is checked. */
  checkText(text: string): void {
    if (text.length > MAX_TEXT) throw new SlowRender('the rendered text is long')
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

export interface RenderLimits {
  /** Parts of the template that a render passes, counted again in each pass of a loop. */
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
/** The most that the size of rows adds, unless the rows themselves are larger than that. */
const MAX_EXTRA_MEMORY = 56_000_000
const TIME_MS = 2_000
const TIME_MS_PER_ROW = 1

/** The limits for a first try. */
export function usualLimits(rowCount: number): RenderLimits {
  return {
    steps: STEPS + STEPS_PER_ROW * rowCount,
    memory: MEMORY + MEMORY_PER_ROW * rowCount,
    timeMs: TIME_MS + TIME_MS_PER_ROW * rowCount,
  }
}

/** The limits for rows of this size, never less than the usual ones. */
export function limitsFor(rowCount: number, values: readonly unknown[]): RenderLimits {
  const usual = usualLimits(rowCount)
  const size = sizeOf(values)
  return {
    steps: usual.steps + STEPS_PER_UNIT * size,
    memory: usual.memory + Math.max(3 * size, Math.min(MEMORY_PER_UNIT * size, MAX_EXTRA_MEMORY)),
    timeMs: usual.timeMs + size / 1000,
  }
}

/** Characters, bytes, list items and fields in a value, all added up. */
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
