/**
 * Values captured from earlier answers, as templates see them. A value that was never captured rejects the
 * row, unless the template asks for it with `{% if %}` or gives it a `default`.
 */
import { Printable } from '../values/print-value.ts'
import { NeverCaptured } from './template-fault.ts'

export class CapturedValues extends Printable {
  readonly #values: { readonly [name: string]: unknown } | null

  constructor(values: { readonly [name: string]: unknown } | null) {
    super()
    this.#values = values
  }

  /** The value of the name; undefined if it was never captured. */
  find(name: string): unknown {
    return this.#values !== null && Object.hasOwn(this.#values, name) ? this.#values[name] : undefined
  }

  /** The value of the name. Throws `NeverCaptured` if it was never captured. */
  need(name: string): unknown {
    const value = this.find(name)
    if (value === undefined) throw new NeverCaptured(name)
    return value
  }

  override printed(): unknown {
    return this.#values
  }
}
