/** The messages between the thread that renders and the thread that asks it. */
import { rowWith, type AnyRow } from '@sluice/contracts/avro/encoded-row'
import { Decimal, JsonText, type Row } from '@sluice/contracts/values'
import type { Failure } from '@sluice/contracts/errors'
import type { Definition } from '@sluice/contracts/resources'
import type { Op } from '@sluice/contracts/state'
import type { Rendered } from '../../rendering/render-batch.ts'
import type { PlacedChange, RenderChanges } from '../../rendering/render-changes.ts'

/** The templates that render one sequence of changes. */
export interface Task {
  readonly definition: Definition
  /** With the hash of the definition, the thread compiles the templates once for all tasks. */
  readonly hash?: string
  readonly context: Parameters<RenderChanges>[2]
}

/**
 * The asking thread gives a task and wants its first request, wants the next request, or gives the changes
 * that the other thread wanted. Null says that there are no more changes.
 */
export type Question =
  | { readonly kind: 'task'; readonly task: Task }
  | { readonly kind: 'next' }
  | { readonly kind: 'changes'; readonly changes: readonly PlacedChange[] | null }

/** The rendering thread gives the next request, wants changes for it, or ends the task. */
export type Reply =
  | { readonly kind: 'rendered'; readonly op: Op; readonly rendered: Rendered }
  | { readonly kind: 'wanting' }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: Failure }

/**
 * A message loses the classes `Decimal` and `JsonText`. It keeps a `Map`, which no row has. So a `Map` stands
 * for a value of these classes.
 */
export function packed(change: PlacedChange<AnyRow>): PlacedChange {
  return withRows(change, packedValue)
}

export function unpacked(change: PlacedChange): PlacedChange {
  return withRows(change, unpackedValue)
}

function withRows(placed: PlacedChange<AnyRow>, each: (value: unknown) => unknown): PlacedChange {
  const { partition, bytes, change } = placed
  const convert = (row: AnyRow | null): Row | null =>
    row === null ? null : (each(rowWith(row, 'all')) as Row)
  return {
    partition,
    bytes,
    // What the source has is nothing that is sent.
    change: { ...change, before: convert(change.before), after: convert(change.after), wanted: null },
  }
}

function packedValue(value: unknown): unknown {
  if (value instanceof Decimal) return new Map([['decimal', value.text]])
  if (value instanceof JsonText) return new Map([['json', value.text]])
  return within(value, packedValue)
}

function unpackedValue(value: unknown): unknown {
  if (value instanceof Map) {
    const [[kind, text] = ['', '']] = value as Map<string, string>
    return kind === 'decimal' ? new Decimal(text) : new JsonText(text)
  }
  return within(value, unpackedValue)
}

function within(value: unknown, each: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(each)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  // `Object.fromEntries` keeps a column that is called `__proto__`. An assignment would not.
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, each(field)]))
}
