/**
 * A shape: rows that a formula makes, the sync that carries them, the API's answers, and the expected result.
 * The source computes the formula in SQL and the receiver in JavaScript. So the receiver knows every byte
 * that has to arrive.
 */
import type { Op } from '@sluice/contracts/state'

export const OPS = ['added', 'changed', 'removed'] as const satisfies readonly Op[]

/** SQL differs between sources in little: what makes rows out of nothing, and some casts. */
export type Dialect = 'duckdb' | 'postgres' | 'mariadb'

/** A column beside `n`, the number of the row. A revision is what a source's data were edited to. */
export interface Column {
  readonly name: string
  /** An expression over `n`. */
  readonly sql: (revision: number) => string
  /** The JSON that has to arrive for it. */
  readonly json: (n: number, revision: number) => string
}

/** Chooses rows by their number. */
export type Selection = 'all' | 'even' | 'odd' | 'scattered' | 'none'

/** One row of so many is scattered. */
const SCATTERED = 500

export const SELECTION_SQL: { readonly [selection in Selection]: string } = {
  all: '1 = 1',
  even: 'n % 2 = 0',
  odd: 'n % 2 = 1',
  scattered: `n % ${SCATTERED} = 0`,
  none: '1 = 0',
}

export function isSelected(selection: Selection, n: number): boolean {
  if (selection === 'all' || selection === 'none') return selection === 'all'
  if (selection === 'scattered') return n % SCATTERED === 0
  return (n % 2 === 0) === (selection === 'even')
}

/** The API's answers in a pass. */
export type AnswerScript =
  | { readonly kind: 'ok' }
  /** 400 with a text of so many bytes. */
  | { readonly kind: 'reject'; readonly textBytes: number }
  /** 429 to the first try at each request. */
  | { readonly kind: 'throttle-once' }
  /** The connection is cut once the request is there. */
  | { readonly kind: 'cut' }
  /** 200 with a body of so many bytes. */
  | { readonly kind: 'large'; readonly bytes: number }

/** The requests that have to arrive for one trigger, and the counts of the run. */
export interface Expected {
  readonly rows: Selection
  readonly outcome: 'delivered' | 'rejected' | 'unknown'
  /** Counts how often each row is sent, repetitions that the API asks for included. */
  readonly sends: number
}

/** One run. */
export interface Pass {
  readonly revision: number
  /** The revision that the destination has from the pass before. */
  readonly before: number
  /** The rows that the model has. */
  readonly has: Selection
  readonly answers: AnswerScript
  /**
   * True if the cache of the delivered state is lost before, so that the state is rebuilt from its topics.
   */
  readonly isCacheLost?: boolean
  readonly expect: { readonly [op in Op]?: Expected }
}

export interface Shape {
  readonly name: string
  readonly rows: number
  readonly columns: readonly Column[]
  /** Default: `n`. */
  readonly primaryKey?: readonly string[]
  readonly dialect?: Dialect
  /**
   * The rows stand in a file that DuckDB writes before each pass; default: the model's own SQL makes them.
   */
  readonly file?: 'csv' | 'parquet' | 'duckdb'
  /** Rows per request; null: one row a request, and no array. */
  readonly batch: number | null
  /** The most that a body may have; default 1 MB. */
  readonly batchBytes?: string
  /** The changed trigger sends this column of the row before, too. */
  readonly previous?: string
  /** Further fields of the sync. */
  readonly sync?: { readonly [field: string]: unknown }
  /** The rows are shared out to so many syncs on one destination, which run together; default 1. */
  readonly syncs?: number
  readonly passes: readonly Pass[]
  /** One process of `sluice` does all passes, one after the other, so that what leaks adds up. */
  readonly oneProcess?: boolean
}

/** A shape, or a smaller one of the same kind. */
export function scaled(shape: Shape, scale: number): Shape {
  if (scale === 1) return shape
  const { rows, syncs = 1, passes } = shape
  const fewer = (count: number): number => (count === 0 ? 0 : Math.max(1, Math.round(count * scale)))
  const smaller = { ...shape, syncs: syncs === 1 ? 1 : Math.max(2, fewer(syncs)) }
  const perSync = Math.max(1, Math.round(rows / syncs))
  return {
    ...smaller,
    rows: syncs === 1 ? fewer(rows) : perSync * smaller.syncs,
    passes: shape.oneProcess === true ? passes.slice(0, Math.max(3, fewer(passes.length))) : passes,
  }
}

/** The object that has to arrive for a row, and nothing around it. */
export function rowJson(shape: Shape, op: Op, n: number, pass: Pass): string {
  const revision = op === 'removed' ? pass.before : pass.revision
  let json = `{"n":${n}`
  for (const column of shape.columns) json += `,"${column.name}":${column.json(n, revision)}`
  if (op === 'changed' && shape.previous !== undefined) {
    const was = shape.columns.find(({ name }) => name === shape.previous)
    if (was !== undefined) json += `,"was":${was.json(n, pass.before)}`
  }
  return `${json}}`
}
