/**
 * Resolves names to values. Liquid's order is: the variables of the loops around, assigned names, counters,
 * the values of the render, the row's columns. Names become numbered slots when a template is compiled, so
 * that rendering looks nothing up by name.
 */
import { CapturedValues } from './captured-values.ts'
import type { Frame } from './frame.ts'
import { propertyReader } from './read-property.ts'

export type Getter = (frame: Frame) => unknown

/** The content of a slot before the first assignment. */
const UNSET = Symbol('unset')

/** Every template has these names besides columns. */
const GIVEN_IN_BATCHES: ReadonlyMap<string, Getter> = new Map<string, Getter>([
  ['rows', frame => frame.rows],
  ['run', frame => frame.context.run],
  ['sync', frame => frame.context.sync],
])
const GIVEN: ReadonlyMap<string, Getter> = new Map<string, Getter>([
  ...GIVEN_IN_BATCHES,
  ['rows', frame => [frame.single.row]],
  ['row', frame => frame.single.row],
  ['previous', frame => frame.single.previous],
  ['captured', frame => new CapturedValues(frame.single.captured)],
])

/** These names never stand for a column. */
export const GIVEN_NAMES: ReadonlySet<string> = new Set(GIVEN.keys())

/** Numbers the slots of one template. */
export class NameSlots {
  readonly #assigned = new Map<string, number>()
  readonly #counters = new Map<string, number>()
  #count = 0

  add(): number {
    this.#count += 1
    return this.#count - 1
  }

  /** Returns the slot that `{% assign %}` and `{% capture %}` write. */
  assigned(name: string): number {
    return slotOf(this.#assigned, name, () => this.add())
  }

  /** Returns the slot that `{% increment %}` and `{% decrement %}` write. */
  counter(name: string): number {
    return slotOf(this.#counters, name, () => this.add())
  }

  get assignedNames(): ReadonlyMap<string, number> {
    return this.#assigned
  }

  get counterNames(): ReadonlyMap<string, number> {
    return this.#counters
  }

  /** Returns empty slots for a render. */
  fresh(): unknown[] {
    return this.#count === 0 ? [] : new Array<unknown>(this.#count).fill(UNSET)
  }
}

function slotOf(slots: Map<string, number>, name: string, add: () => number): number {
  const known = slots.get(name)
  if (known !== undefined) return known
  const slot = add()
  slots.set(name, slot)
  return slot
}

/** Returns the value of a slot; undefined before the first assignment. */
export function slotValue(frame: Frame, slot: number): unknown {
  const value = frame.slots[slot]
  return value === UNSET ? undefined : value
}

/** Says which values a template sees besides its own names. */
export interface Sees {
  /** True for the rows of a batch, false for one row. */
  readonly batched: boolean
  /** True in an envelope, where `items` is its content. */
  readonly wraps?: boolean
}

/** The names that one place of a template sees. Loops open scopes inside it. */
export class Scope {
  readonly slots: NameSlots
  readonly #sees: Sees
  readonly #loops: ReadonlyMap<string, number>

  constructor(slots: NameSlots, sees: Sees, loops: ReadonlyMap<string, number> = new Map()) {
    this.slots = slots
    this.#sees = sees
    this.#loops = loops
  }

  /** Returns the scope inside a loop. `names` has the slots of the loop's variables. */
  inside(names: ReadonlyMap<string, number>): Scope {
    return new Scope(this.slots, this.#sees, new Map([...this.#loops, ...names]))
  }

  /** Returns the slot of a variable of a loop around; undefined for any other name. */
  loopSlot(name: string): number | undefined {
    return this.#loops.get(name)
  }

  /**
   * Returns the getter of a name. All names that the template assigns anywhere must have their slots by now.
   */
  resolve(name: string): Getter {
    const loop = this.#loops.get(name)
    if (loop !== undefined) return frame => frame.slots[loop]
    let getter = this.#given(name)
    for (const names of [this.slots.counterNames, this.slots.assignedNames]) {
      const slot = names.get(name)
      if (slot !== undefined) getter = orElse(slot, getter)
    }
    return getter
  }

  /** Returns a getter for names that are known only while rendering. */
  resolveLater(): (name: string, frame: Frame) => unknown {
    const getters = new Map<string, Getter>()
    return (name, frame) => {
      let getter = getters.get(name)
      if (getter === undefined) {
        getter = this.resolve(name)
        if (getters.size < 1000) getters.set(name, getter)
      }
      return getter(frame)
    }
  }

  #given(name: string): Getter {
    if (name === 'items' && this.#sees.wraps === true) return frame => frame.items
    const { batched } = this.#sees
    const given = (batched ? GIVEN_IN_BATCHES : GIVEN).get(name)
    if (given !== undefined) return given
    if (batched) return () => undefined
    const read = propertyReader(name, true)
    return frame => read(frame.single.row, frame)
  }
}

function orElse(slot: number, otherwise: Getter): Getter {
  return frame => {
    const value = frame.slots[slot]
    return value === UNSET ? otherwise(frame) : value
  }
}
