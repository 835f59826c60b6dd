/**
 * The tables in this folder say by example what templates do: a template, the rows that it sees, and the
 * exact text or the exact error. `cases.test.ts` runs them.
 */
import type { Row } from '@sluice/contracts/values'
import type { BodySpec } from '@sluice/contracts/resources'

interface Seen {
  /** The row, for a request of one row. */
  readonly row?: Row
  /** The rows of a batch. */
  readonly rows?: readonly Row[]
  /** The row, or each row, as it was delivered before. */
  readonly previous?: Row
  /** The values that were captured for the row, or for each. */
  readonly captured?: { readonly [name: string]: unknown }
}

interface Templates {
  /** Plain Liquid, with nothing escaped or checked. */
  readonly liquid?: string
  /** The body of a trigger, as `body: { json }`. */
  readonly json?: string
  /** Any body. */
  readonly body?: BodySpec
  readonly allowEmpty?: boolean
  readonly path?: string
  /** The value of a header. */
  readonly header?: string
}

export interface RenderCase extends Seen, Templates {
  readonly it: string
  readonly gives?: string
  readonly error?: string
}

/** A template that is refused when it is compiled. */
export interface MistakeCase extends Templates {
  readonly it: string
  /** Batches see other names. */
  readonly batched?: boolean
  /** The field at fault, where it is not plain from the template. */
  readonly field?: string
  /** The place in the template's text; absent where no text is at fault. */
  readonly line?: number
  readonly column?: number
  readonly message: string
}
