/**
 * The state of one render: the values that the templates of a request see, and the work that they may still
 * do. All templates of a request use one frame in turn. No two renders share one.
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
  /** Set if other work waits for this thread. Rendering may then throw a `SlowRender`. */
  readonly patience?: Patience
}

/** The clock is read once in this many steps. */
const STEPS_PER_CLOCK = 4096
/** Patience is checked once in this many steps, and once in this many charged units. */
const STEPS_PER_CHECK = 64
const UNITS_PER_CHECK = 20_000

export class Frame {
  /** The text that is rendered so far. */
  out = ''
  /** The values of assigned names and loop variables, by slot. */
  slots: unknown[] = []
  /** The place in the template's text of the node that is being rendered, for messages. */
  at = 0
  /** A `{% break %}` or `{% continue %}` on its way to its loop. */
  jump: 'none' | 'break' | 'continue' = 'none'
  /** Positions of cycles and of loops with `offset: continue`, by signature. */
  readonly positions = new Map<string, number>()
  /** The text of the last `{% ifchanged %}`. */
  lastChange: string | null = null
  /** The items that the envelope of a field mapper prints. */
  items: unknown = null

  readonly rows: readonly Row[]
  readonly templateRows: readonly TemplateRow[]
  readonly context: RenderContext

  #limits: RenderLimits
  #steps = 0
  #memory = 0
  #clockAt = STEPS_PER_CLOCK
  #checkAtSteps = Number.POSITIVE_INFINITY
  #checkAtMemory = Number.POSITIVE_INFINITY
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
    this.#checkAtSteps = STEPS_PER_CHECK
    this.#checkAtMemory = UNITS_PER_CHECK
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

  /** Returns the value that belongs to a row; undefined if `value` is no row, or has no such value. */
  beside(value: object, name: 'captured' | 'previous'): unknown {
    const found = this.#besides.get(value)
    if (found === undefined) return undefined
    return name === 'captured' ? new CapturedValues(found.captured) : (found.previous ?? undefined)
  }

  /** True for a row, as it is now or as it was delivered before. */
  isRow(value: object): boolean {
    return this.#besides.has(value) || this.templateRows.some(({ previous }) => previous === value)
  }

  get #besides(): Map<object, TemplateRow> {
    this.#byRow ??= new Map(this.templateRows.map(each => [each.row, each]))
    return this.#byRow
  }

  /** Resets what belongs to one template, before the next template of the request. */
  begin(slots: unknown[]): void {
    this.out = ''
    this.slots = slots
    this.at = 0
    this.jump = 'none'
    this.lastChange = null
    if (this.positions.size > 0) this.positions.clear()
  }

  /** Counts steps. Throws a `LimitFault` once there were too many, and a `SlowRender` once patience ends. */
  step(count: number): void {
    this.#steps += count
    if (this.#steps > this.#limits.steps)
      throw new LimitFault(
        `the template does more than ${this.#limits.steps} steps; does a loop run too often?`,
      )
    if (this.out.length > MAX_OUTPUT_LENGTH)
      throw new TemplateFault(`the rendered text is longer than ${MAX_OUTPUT_LENGTH} characters`)
    if (this.#steps >= this.#clockAt) this.#readClock()
    if (this.#steps >= this.#checkAtSteps) this.#checkPatience(this.context.patience)
  }

  /** Counts characters or list items that were made. Throws as `step` does. */
  charge(count: number): void {
    this.#memory += count
    if (this.#memory > this.#limits.memory)
      throw new LimitFault("the template's filters and loops make too much text or too long lists")
    if (this.#memory >= this.#checkAtMemory) this.#checkPatience(this.context.patience)
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

  #checkPatience(patience: Patience | undefined): void {
    this.#checkAtSteps = this.#steps + STEPS_PER_CHECK
    this.#checkAtMemory = this.#memory + UNITS_PER_CHECK
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

/** Returns the JSON of the row to which the frame has turned. Throws a `PartFault` if that is impossible. */
export type ItemWriter = (frame: Frame) => string
