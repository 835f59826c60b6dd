import type { Frame } from '../liquid/frame.ts'

/** An argument by name: `allow_false: true`. */
export class NamedArgument {
  readonly name: string
  readonly value: unknown
  constructor(name: string, value: unknown) {
    this.name = name
    this.value = value
  }
}

/** Pure, except that it counts work in the frame. Arguments come in the order in which they are written. */
export type FilterFunction = (value: unknown, args: readonly unknown[], frame: Frame) => unknown
