/** What the thread that renders and the one that asks it say to each other. */
import { rowWith, type AnyRow } from '@sluice/contracts/avro/encoded-row'
import { Decimal, JsonText, type Row } from '@sluice/contracts/values'
import type { Failure } from '@sluice/contracts/errors'
import type { Definition } from '@sluice/contracts/resources'
import type { Op } from '@sluice/contracts/state'
import type { Rendered } from '../../rendering/render-batch.ts'
import type { PlacedChange, RenderChanges } from '../../rendering/render-changes.ts'

/** What is rendered in one go. */
export interface Task {
  readonly definition: Definition
  /** The hash of the definition, if it has one. Its templates are compiled once then. */
  readonly hash?: string
  readonly context: Parameters<RenderChanges>[2]
}

/**
 * The asking thread gives a task and wants its first request, wants the next one, or gives changes that the
 * other one wanted; null: there are no more.
 */
export type Question =
  | { readonly kind: 'task'; readonly task: Task }
  | { readonly kind: 'next' }
  | { readonly kind: 'changes'; readonly changes: readonly PlacedChange[] | null }

/** The next request, or that changes are wanted for it, or the end. */
export type Reply =
  | { readonly kind: 'rendered'; readonly op: Op; readonly rendered: Rendered }
  | { readonly kind: 'wanting' }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** A message carries no classes of ours. It carries maps as maps, and no row has one. */
export function packed(change: PlacedChange<AnyRow>): PlacedChange {
  return withRows(change, packedValue)
}

export function unpacked(change: PlacedChange): PlacedChange {
  return withRows(change, unpackedValue)
}

function withRows(placed: PlacedChange<AnyRow>, each: (value: unknown) => unknown): PlacedChange {
  const { partition, bytes, change } = placed
  const row = (of: AnyRow | null): Row | null => (of === null ? null : (each(rowWith(of, 'all')) as Row))
  return { partition, bytes, change: { ...change, before: row(change.before), after: row(change.after) } }
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
  // A column may be called `__proto__`, and has to stay one.
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, each(of)]))
}
