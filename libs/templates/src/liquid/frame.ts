/**
 * The state of one render: the values that the templates of a request see, and how much work they may still
 * do. It lives for one call of `render`. One template after another uses it, and it is never shared.
 */
import type { Row } from '@sluice/contracts/values'
import { Context } from 'liquidjs'
import { CapturedValues } from './captured-values.ts'
import { LIQUID, LIQUID_OPTIONS } from './parse/expression-tokenizer.ts'
import { MAX_OUTPUT_LENGTH, type RenderLimits, type Patience } from './limits.ts'
import { LimitFault, TemplateFault } from './template-fault.ts'

/** A row with the values that belong to it. */
export interface TemplateRow {
  readonly row: Row
  /** The row as delivered before; null if there is none. */
  readonly previous: Row | null
  /** Values captured from earlier answers, by name; null if none ever were. */
  readonly captured: { readonly [name: string]: unknown } | null
}

/** The values that a render sees besides its rows. */
export interface RenderContext {
  /** `startedAt` is ISO 8601 in UTC. `'now' | date` shows it. */
  readonly run: { readonly id: string; readonly startedAt: string }
  readonly sync: { readonly name: string }
  /** Set where others wait for this thread. Rendering may throw a `SlowRender` then. */
  readonly patience?: Patience
}

/**
 * How often, in steps, the clock is read; and how often, in steps and in charged units, patience is asked.
 */
const STEPS_PER_CLOCK = 4096
const STEPS_PER_LOOK = 64
const UNITS_PER_LOOK = 20_000

export class Frame {
  /** The text so far. */
  out = ''
  /** Assigned names and loop variables, by the slot that compiling gave them. */
  slots: unknown[] = []
  /** The place in the template's text where the part begins that is being rendered, for messages. */
  at = 0
  /** A `{% break %}` or `{% continue %}` on its way to its loop. */
  jump: 'none' | 'break' | 'continue' = 'none'
  /** Positions of cycles and of loops with `offset: continue`, by signature. */
  readonly positions = new Map<string, number>()

  /** What the last `{% ifchanged %}` printed. */
  lastChange: string | null = null

  /** The text inside of the envelope. */
  items: unknown = null

  readonly rows: readonly Row[]
  readonly templateRows: readonly TemplateRow[]
  readonly context: RenderContext

  #limits: RenderLimits
  #steps = 0
  #memory = 0
  #clockAt = STEPS_PER_CLOCK
  #stepsAtLook = Number.POSITIVE_INFINITY
  #memoryAtLook = Number.POSITIVE_INFINITY
  #deadline = 0
  #liquid: Context | null = null
  #focus = 0
  #byRow: Map<object, TemplateRow> | null = null

  constructor(templateRows: readonly TemplateRow[], context: RenderContext, limits: RenderLimits) {
    this.templateRows = templateRows
    this.rows = templateRows.map(each => each.row)
    this.context = context
    this.#limits = limits
    const { patience } = context
    if (patience === undefined) return
    patience.begin()
    this.#stepsAtLook = STEPS_PER_LOOK
    this.#memoryAtLook = UNITS_PER_LOOK
  }

  /** The row of a request with one row; in a batch, the row that is being written. */
  get single(): TemplateRow {
    const row = this.templateRows[this.#focus]
    if (row === undefined) throw new Error(`there is no row ${this.#focus} in this render`)
    return row
  }

  /** Turns to another row of a batch. */
  focus(index: number): void {
    this.#focus = index
  }

  /** The value that belongs to a row of a batch; undefined if the given value is no row, or has none. */
  beside(value: object, name: 'captured' | 'previous'): unknown {
    const found = this.#besides.get(value)
    if (found === undefined) return undefined
    return name === 'captured' ? new CapturedValues(found.captured) : (found.previous ?? undefined)
  }

  /** True for a row, as it is or as it was delivered before. */
  isRow(value: object): boolean {
    return this.#besides.has(value) || this.templateRows.some(({ previous }) => previous === value)
  }

  get #besides(): Map<object, TemplateRow> {
    this.#byRow ??= new Map(this.templateRows.map(each => [each.row, each]))
    return this.#byRow
  }

  /** Makes ready for the next template of the same request. */
  begin(slots: unknown[]): void {
    this.out = ''
    this.slots = slots
    this.at = 0
    this.jump = 'none'
    this.lastChange = null
    if (this.positions.size > 0) this.positions.clear()
  }

  /** Counts work. Throws a `LimitFault` if it was too much. */
  step(count: number): void {
    this.#steps += count
    if (this.#steps > this.#limits.steps)
      throw new LimitFault(
        `the template does more than ${this.#limits.steps} steps; does a loop run too often?`,
      )
    if (this.out.length > MAX_OUTPUT_LENGTH)
      throw new TemplateFault(`the rendered text is longer than ${MAX_OUTPUT_LENGTH} characters`)
    if (this.#steps >= this.#clockAt) this.#readClock()
    if (this.#steps >= this.#stepsAtLook) this.#look(this.context.patience)
  }

  /** Counts characters or items that a filter makes. Throws a `LimitFault` if they were too many. */
  charge(count: number): void {
    this.#memory += count
    if (this.#memory > this.#limits.memory)
      throw new LimitFault("the template's filters and loops make too much text or too long lists")
    if (this.#memory >= this.#memoryAtLook) this.#look(this.context.patience)
  }

  /** The context that liquidjs's filters need. */
  get liquid(): Context {
    this.#liquid ??= new Context(
      {},
      LIQUID_OPTIONS,
      { sync: true, memoryLimit: this.#limits.memory },
      { liquid: LIQUID },
    )
    return this.#liquid
  }

  #look(patience: Patience | undefined): void {
    this.#stepsAtLook = this.#steps + STEPS_PER_LOOK
    this.#memoryAtLook = this.#memory + UNITS_PER_LOOK
    patience?.check()
  }

  #readClock(): void {
    this.#clockAt = this.#steps + STEPS_PER_CLOCK
    const now = performance.now()
    if (this.#deadline === 0) this.#deadline = now + this.#limits.timeMs
    else if (now > this.#deadline)
      throw new LimitFault(`the template takes longer than ${Math.round(this.#limits.timeMs)} ms`)
  }
}

/** Writes the JSON of the frame's present row. Throws a `PartFault` if it cannot. */
export type ItemWriter = (frame: Frame) => string
