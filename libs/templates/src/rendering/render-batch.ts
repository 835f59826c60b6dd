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
import { printValue } from '../values/print-value.ts'
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
      /**
       * The name of the value that the row needs and that was never captured. Null if there is another
       * reason.
       */
      readonly lacks: string | null
      readonly rows: readonly RequestRow[]
    }

/** A request body larger than this is never sent; a single row that needs it is rejected. */
export const BODY_CEILING_BYTES = 8_000_000

/** Most bytes that a record says of a row, beside its key and its captured values. */
const ROW_BYTES = 300

const encoder = new TextEncoder()

export interface BatchContext extends RenderContext {
  /** The columns by which answers name rows; default none. */
  readonly naming?: readonly string[]
}

/**
 * Renders a batch in another thread, from its beginning. Rejects with `too-large` if that takes more memory
 * than the thread has, and with the signal's reason at once.
 */
export type RenderElsewhere = (
  batch: RowBatch,
  of: { readonly hash: string; readonly definition: Definition; readonly context: BatchContext },
  options: Abortable,
) => Promise<readonly Rendered[]>

/**
 * Deterministic: the same rows give the same requests in the same order. Throws a `SlowRender` where the
 * context has patience, and it ends.
 */
export function renderBatch(
  { op, changes }: RowBatch,
  trigger: CompiledTrigger,
  context: BatchContext,
): Rendered[] {
  return renderRows(changes, { op, trigger, context, tooMuch: { count: 0 } })
}

/** What the halves of a batch have in common. */
interface Rendering {
  readonly op: Op
  readonly trigger: CompiledTrigger
  readonly context: BatchContext
  /** Renders that were too much work. */
  readonly tooMuch: { count: number }
}

/**
 * After so many renders of a batch that were too much work, its other rows are not tried. They most likely
 * have the same template at fault, and each try takes up to seconds.
 */
const MAX_TOO_MUCH = 64

function renderRows(changes: readonly Change<AnyRow>[], of: Rendering): Rendered[] {
  const { op, trigger, context, tooMuch } = of
  const result = tooMuch.count < MAX_TOO_MUCH ? requestFor(changes, trigger, context) : GIVEN_UP
  if (result.kind === 'unrenderable') {
    const { error, lacks } = result
    if (result.isTooMuch === true) tooMuch.count += 1
    if (changes.length > 1 && result !== GIVEN_UP) return renderHalves(changes, of)
    const rows = changes.map(change => requestRow(op, change, context))
    return [{ kind: 'unrenderable', error, lacks, rows }]
  }
  const { body } = result
  const bytes = body?.length ?? 0
  const limit = Math.min(trigger.batch?.bytes ?? BODY_CEILING_BYTES, BODY_CEILING_BYTES)
  if (bytes > limit && changes.length > 1) return renderHalves(changes, of)
  const { method, path, headers } = result
  const rows = changes.map(change => requestRow(op, change, context))
  const error = tooLarge({ body: bytes, head: headBytes(path, headers), rows: rowsBytes(rows) })
  if (error !== null && changes.length > 1) return renderHalves(changes, of)
  if (error !== null) return [{ kind: 'unrenderable', error, lacks: null, rows }]
  return [{ kind: 'request', method, path, headers, body, rows }]
}

const GIVEN_UP: Made & { kind: 'unrenderable' } = {
  kind: 'unrenderable',
  error:
    `the template did too much work for ${MAX_TOO_MUCH} parts of the batch that the row is in, so that the row was not tried; ` +
    'make the loops of the template shorter, or the batch smaller',
  lacks: null,
}

type Made = (EncodedRequest & { readonly kind: 'rendered' }) | Exclude<RenderResult, { kind: 'rendered' }>

/** The request for these changes, with its body as UTF-8. */
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

/** Why a request of so many bytes cannot be sent; null if it can. */
function tooLarge({ body, head, rows }: { body: number; head: number; rows: number }): string | null {
  if (body > BODY_CEILING_BYTES)
    return `the body has ${body} bytes, and the most that is sent is ${BODY_CEILING_BYTES}`
  if (head > HEAD_CEILING_BYTES)
    return `path and headers have ${head} bytes, and the most that is sent is ${HEAD_CEILING_BYTES}`
  const all = body + head + rows
  if (all <= REQUEST_CEILING_BYTES) return null
  return `the request and what is known of its row take ${all} bytes, and the most is ${REQUEST_CEILING_BYTES}`
}

function headBytes(path: string, headers: { readonly [name: string]: string }): number {
  let bytes = Buffer.byteLength(path)
  for (const [name, value] of Object.entries(headers))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  return bytes
}

/** Most bytes that the record of a request says of its rows. */
function rowsBytes(rows: readonly RequestRow[]): number {
  let bytes = 0
  for (const { key, captured, named } of rows)
    bytes +=
      ROW_BYTES + Buffer.byteLength(key) + Buffer.byteLength(captured ?? '') + Buffer.byteLength(named ?? '')
  return bytes
}

function renderHalves(changes: readonly Change<AnyRow>[], of: Rendering): Rendered[] {
  const middle = Math.ceil(changes.length / 2)
  return [...renderRows(changes.slice(0, middle), of), ...renderRows(changes.slice(middle), of)]
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

function requestRow(op: Op, change: Change<AnyRow>, { naming = [] }: BatchContext): RequestRow {
  const uncertain = change.beforeState === 'content-uncertain' || change.beforeState === 'existence-uncertain'
  const { key, seq, captured, retried } = change
  const named = naming.length === 0 ? null : namesOf(change, naming)
  return { key, seq, op, uncertain, captured, retried, named }
}

/** No text that is longer names a row. */
const MAX_NAME_BYTES = 1_000
const UNCOUNTED = { charge: () => undefined }

/** The texts of columns as templates print them, as JSON. */
function namesOf(change: Change<AnyRow>, naming: readonly string[]): string {
  const row = rowWith(newestRow(change), 'all')
  const names = naming.flatMap(column => {
    const text = Object.hasOwn(row, column) ? nameOf(row[column]) : null
    return text === null ? [] : [[column, text] as const]
  })
  return JSON.stringify(Object.fromEntries(names))
}

/** Lists and maps name no row. */
function nameOf(value: unknown): string | null {
  if (value === null || value === undefined || Array.isArray(value) || isPlain(value)) return null
  const text = printValue(value, UNCOUNTED)
  return Buffer.byteLength(text) <= MAX_NAME_BYTES ? text : null
}

function isPlain(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
