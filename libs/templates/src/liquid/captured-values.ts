/**
 * The values that were captured from earlier answers. A row that lacks one is rejected, unless the template
 * asks for it with `{% if %}` or gives it a `default`.
 */
import { Printable } from '../values/print-value.ts'
import { NeverCaptured } from './template-fault.ts'

export class CapturedValues extends Printable {
  readonly #values: { readonly [name: string]: unknown } | null

  constructor(values: { readonly [name: string]: unknown } | null) {
    super()
    this.#values = values
  }

  /** Returns the value; undefined if it was never captured. */
  find(name: string): unknown {
    return this.#values !== null && Object.hasOwn(this.#values, name) ? this.#values[name] : undefined
  }

  /** Returns the value. Throws `NeverCaptured` if it was never captured. */
  need(name: string): unknown {
    const value = this.find(name)
    if (value === undefined) throw new NeverCaptured(name)
    return value
  }

  override printed(): unknown {
    return this.#values
  }
}
