/**
 * Compares a table with the state by key. Both have their keys in one order, so the comparison needs a page
 * of each side at a time.
 */
import type { ExtractRows } from '@sluice/delivered-state/extract-port'
import type { StreamedKey, StreamState } from '@sluice/delivered-state/stream-port'
import type { Row } from '@sluice/contracts/values'

const STATE_PAGE = 5_000
const MAX_SAMPLES = 10

/** Compares keys as their UTF-8 bytes sort. */
export function inKeyOrder(one: string, other: string): number {
  const length = Math.min(one.length, other.length)
  for (let i = 0; i < length; i += 1) {
    const [a, b] = [one.charCodeAt(i), other.charCodeAt(i)]
    if (a !== b) return sortable(a) - sortable(b)
  }
  return one.length - other.length
}

/** Surrogates stand for characters behind all others. */
function sortable(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

/** Walks over the keys of the state that may have a row, or owe something. */
class StateKeys {
  readonly #state: Pick<StreamState, 'inOrder'>
  #page: readonly StreamedKey[] = []
  #at = 0
  #isOver = false

  constructor(state: Pick<StreamState, 'inOrder'>) {
    this.#state = state
  }

  /** Returns the present key; undefined behind the last one. */
  get key(): StreamedKey | undefined {
    if (this.#at < this.#page.length || this.#isOver) return this.#page[this.#at]
    this.#page = this.#state.inOrder(this.#page.at(-1)?.key ?? null, STATE_PAGE)
    this.#at = 0
    this.#isOver = this.#page.length === 0
    return this.#page[0]
  }

  next(): void {
    this.#at += 1
  }
}

/** The row that the table has of a key; null: none. */
export type ComparedKey = readonly [key: string, row: Row | null]

/**
 * Yields all keys of the table and of the state, with the row that the table has, in pages of at most so
 * many. It leaves out keys whose rows are invalid: they are neither there nor gone.
 */
export async function* comparedKeys(
  extract: Pick<ExtractRows, 'rows'>,
  state: Pick<StreamState, 'inOrder'>,
  pageRows: number,
): AsyncGenerator<readonly ComparedKey[]> {
  const known = new StateKeys(state)
  const page: ComparedKey[] = []
  for await (const rows of extract.rows()) {
    for (const { key, row } of rows) {
      for (let gone = known.key; gone !== undefined && inKeyOrder(gone.key, key) < 0; gone = known.key) {
        known.next()
        page.push([gone.key, null])
        if (page.length >= pageRows) yield page.splice(0)
      }
      if (known.key?.key === key) known.next()
      if (row !== null) page.push([key, row])
      if (page.length >= pageRows) yield page.splice(0)
    }
    if (page.length > 0) yield page.splice(0)
  }
  for (let gone = known.key; gone !== undefined; gone = known.key) {
    known.next()
    page.push([gone.key, null])
    if (page.length >= pageRows) yield page.splice(0)
  }
  if (page.length > 0) yield page
}

export interface FoundRemovals {
  readonly removed: number
  readonly samples: readonly string[]
}

/** Counts the keys whose rows may be at the destination, and that the table does not have. */
export async function removalsOf(
  extract: Pick<ExtractRows, 'keys'>,
  state: Pick<StreamState, 'inOrder'>,
): Promise<FoundRemovals> {
  const known = new StateKeys(state)
  const samples: string[] = []
  let removed = 0
  const passes = ({ key, state: kind }: StreamedKey): void => {
    known.next()
    if (kind === 'absent') return
    removed += 1
    if (samples.length < MAX_SAMPLES) samples.push(key)
  }
  for await (const keys of extract.keys())
    for (const key of keys) {
      for (let gone = known.key; gone !== undefined && inKeyOrder(gone.key, key) < 0; gone = known.key)
        passes(gone)
      if (known.key?.key === key) known.next()
    }
  for (let gone = known.key; gone !== undefined; gone = known.key) passes(gone)
  return { removed, samples }
}
