/** Where the mistake is that failed a run. */

/** A place in a resource, or in a file of the machine that read it. Lines and columns count from 1. */
export interface ErrorPlace {
  readonly file: string | null
  readonly field: string | null
  readonly line: number | null
  readonly column: number | null
  readonly message: string
}
