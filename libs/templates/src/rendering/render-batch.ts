/**
 * Renders a batch of rows into requests. Where that fails, it finds the rows at fault, and the other rows are
 * still sent.
 */
import { rowWith, type AnyRow } from '@sluice/contracts/avro/encoded-row'
import type { Change, RequestRow } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'
import { HEAD_CEILING_BYTES, REQUEST_CEILING_BYTES } from '@sluice/domain/record-sizes'
import type { CompiledTrigger, EncodedRequest, RenderContext, RenderResult, TemplateRow } from '../compile.ts'
import type { Row } from '@sluice/contracts/values'
import type { Abortable } from '@sluice/flow/abortable'
import type { Definition } from '@sluice/contracts/resources'
import { NOT_COUNTED, printValue } from '../values/print-value.ts'
import { parseExactJson } from '../values/exact-json.ts'
import type { RowBatch } from './row-batches.ts'

/** A request or unrenderable rows, before they have a place in the topic. */
export type Rendered =
  | {
      readonly kind: 'request'
      readonly method: string
      readonly path: string
      readonly headers: { readonly [name: string]: string }
      readonly body: Uint8Array | null
      readonly rows: readonly RequestRow[]
    }
  | {
      readonly kind: 'unrenderable'
      readonly error: string
      /** The name of the captured value that the row lacks; null if the error has another reason. */
      readonly lacks: string | null
      readonly rows: readonly RequestRow[]
    }

/** A request body larger than this is never sent; a single row that needs it is rejected. */
export const BODY_CEILING_BYTES = 8_000_000

/**
 * A row takes at most this many bytes in the record of its request, beside its key, names and captured
 * values.
 */
const MAX_ROW_BYTES = 300

const encoder = new TextEncoder()

export interface BatchContext extends RenderContext {
  /** The columns whose texts an answer may use to name a row; default none. */
  readonly naming?: readonly string[]
}

/**
 * Renders a batch in another thread, from its beginning. Rejects with `too-large` if that takes more memory
 * than the thread has, and with the signal's reason at once.
 */
export type RenderElsewhere = (
  batch: RowBatch,
  task: { readonly hash: string; readonly definition: Definition; readonly context: BatchContext },
  options: Abortable,
) => Promise<readonly Rendered[]>

/**
 * Renders a batch here. The same rows give the same requests in the same order. Throws a `SlowRender` once
 * the patience of the context ends.
 */
export function renderBatch(
  { op, changes }: RowBatch,
  trigger: CompiledTrigger,
  context: BatchContext,
): Rendered[] {
  return renderRows(changes, { op, trigger, context, tooMuch: { count: 0 } })
}

/** The state that the halves of a divided batch share. */
interface Rendering {
  readonly op: Op
  readonly trigger: CompiledTrigger
  readonly context: BatchContext
  /** Counts the renders that stopped at a limit of work. */
  readonly tooMuch: { count: number }
}

/**
 * Once this many renders of a batch have stopped at a limit of work, its other rows are rejected unrendered.
 * Most likely the template is at fault for all of them, and each render takes up to seconds.
 */
const MAX_TOO_MUCH = 64

function renderRows(changes: readonly Change<AnyRow>[], rendering: Rendering): Rendered[] {
  const { op, trigger, context, tooMuch } = rendering
  const result = tooMuch.count < MAX_TOO_MUCH ? requestFor(changes, trigger, context) : GIVEN_UP
  if (result.kind === 'unrenderable') {
    const { error, lacks } = result
    if (result.isTooMuch === true) tooMuch.count += 1
    if (changes.length > 1 && result !== GIVEN_UP) return renderHalves(changes, rendering)
    const rows = changes.map(change => requestRow(op, change, context.naming))
    return [{ kind: 'unrenderable', error, lacks, rows }]
  }
  const { body } = result
  const bytes = body?.length ?? 0
  const limit = Math.min(trigger.batch?.bytes ?? BODY_CEILING_BYTES, BODY_CEILING_BYTES)
  if (bytes > limit && changes.length > 1) return renderHalves(changes, rendering)
  const { method, path, headers } = result
  const rows = changes.map(change => requestRow(op, change, context.naming))
  const error = tooLarge({ body: bytes, head: headBytes(path, headers), rows: rowsBytes(rows) })
  if (error !== null && changes.length > 1) return renderHalves(changes, rendering)
  if (error !== null) return [{ kind: 'unrenderable', error, lacks: null, rows }]
  return [{ kind: 'request', method, path, headers, body, rows }]
}

const GIVEN_UP: Made & { kind: 'unrenderable' } = {
  kind: 'unrenderable',
  error:
    `the template did too much work for ${MAX_TOO_MUCH} parts of the row's batch, so this row was not rendered; ` +
    'make the loops of the template shorter, or the batch smaller',
  lacks: null,
}

type Made = (EncodedRequest & { readonly kind: 'rendered' }) | Exclude<RenderResult, { kind: 'rendered' }>

/** Renders one request, with its body as UTF-8. */
function requestFor(
  changes: readonly Change<AnyRow>[],
  trigger: CompiledTrigger,
  context: BatchContext,
): Made {
  const rowsWith = (columns: ReadonlySet<string> | 'all') =>
    changes.map(change => templateRow(change, columns))
  const encoded = trigger.renderEncoded(changes.map(newestRow), rowsWith, context)
  if (encoded !== null) return { kind: 'rendered', ...encoded }
  const result = trigger.render(rowsWith(trigger.neededColumns), context, () => rowsWith('all'))
  if (result.kind === 'unrenderable') return result
  return { ...result, body: result.body === null ? null : encoder.encode(result.body) }
}

/** The error for a request that has too many bytes to be sent; null if it can be sent. */
function tooLarge({ body, head, rows }: { body: number; head: number; rows: number }): string | null {
  if (body > BODY_CEILING_BYTES) return `the body has ${body} bytes; at most ${BODY_CEILING_BYTES} are sent`
  if (head > HEAD_CEILING_BYTES)
    return `path and headers have ${head} bytes; at most ${HEAD_CEILING_BYTES} are sent`
  const all = body + head + rows
  if (all <= REQUEST_CEILING_BYTES) return null
  return `the request with its row's key and captured values takes ${all} bytes; at most ${REQUEST_CEILING_BYTES} are sent`
}

function headBytes(path: string, headers: { readonly [name: string]: string }): number {
  let bytes = Buffer.byteLength(path)
  for (const [name, value] of Object.entries(headers))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  return bytes
}

/** The rows take at most this many bytes in the record of their request. */
function rowsBytes(rows: readonly RequestRow[]): number {
  let bytes = 0
  for (const { key, captured, named } of rows)
    bytes +=
      MAX_ROW_BYTES +
      Buffer.byteLength(key) +
      Buffer.byteLength(captured ?? '') +
      Buffer.byteLength(named ?? '')
  return bytes
}

function renderHalves(changes: readonly Change<AnyRow>[], rendering: Rendering): Rendered[] {
  const middle = Math.ceil(changes.length / 2)
  return [...renderRows(changes.slice(0, middle), rendering), ...renderRows(changes.slice(middle), rendering)]
}

const NO_ROW: Row = {}

function newestRow({ after, before }: Change<AnyRow>): AnyRow {
  return after ?? before ?? NO_ROW
}

function templateRow(change: Change<AnyRow>, columns: ReadonlySet<string> | 'all'): TemplateRow {
  const { before } = change
  return {
    row: rowWith(newestRow(change), columns),
    previous: change.op === 'changed' && before !== null ? rowWith(before, columns) : null,
    captured: change.captured === null ? null : parseCaptured(change.captured),
  }
}

function parseCaptured(json: string): { readonly [name: string]: unknown } {
  const values = parseExactJson(json)
  return typeof values === 'object' ? { ...values } : {}
}

/**
 * Returns a row in the form that the record of its request stores. It decodes the row only if the sync has
 * naming columns.
 */
export function requestRow(op: Op, change: Change<AnyRow>, naming: readonly string[] = []): RequestRow {
  const uncertain = change.beforeState === 'content-uncertain' || change.beforeState === 'existence-uncertain'
  const { key, seq, captured, retried } = change
  const named = naming.length === 0 ? null : namesOf(change, naming)
  return { key, seq, op, uncertain, captured, retried, named }
}

/** A longer text names no row. */
const MAX_NAME_BYTES = 1_000

/** The texts of the naming columns, as templates print them, in a JSON map by column. */
function namesOf(change: Change<AnyRow>, naming: readonly string[]): string {
  const row = rowWith(newestRow(change), 'all')
  const names = naming.flatMap(column => {
    const text = Object.hasOwn(row, column) ? nameOf(row[column]) : null
    return text === null ? [] : [[column, text] as const]
  })
  return JSON.stringify(Object.fromEntries(names))
}

/** The text of a value; null for lists and maps, which name no row. */
function nameOf(value: unknown): string | null {
  if (value === null || value === undefined || Array.isArray(value) || isPlainMap(value)) return null
  const text = printValue(value, NOT_COUNTED)
  return Buffer.byteLength(text) <= MAX_NAME_BYTES ? text : null
}

function isPlainMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
