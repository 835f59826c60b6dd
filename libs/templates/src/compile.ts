/**
 * Turns a trigger, as it is written, into requests. All its templates are parsed and checked once, and then
 * rendered for many rows. Pure: the same rows and context give the same request, on every machine and at any
 * time.
 */
import { EncodedRow, type AnyRow } from '@sluice/contracts/avro/encoded-row'
import type { ErrorDetail } from '@sluice/contracts/errors'
import { HEADER_NAME } from '@sluice/contracts/specs/http-texts'
import type { TriggerSpec } from '@sluice/contracts/resources'
import { EncodedBody } from './encoded/encoded-body.ts'
import { jsonOutline } from './encoded/json-outline.ts'
import { compileBody } from './request/compile-body.ts'
import { Frame, type RenderContext, type TemplateRow } from './liquid/frame.ts'
import { HEADER_ESCAPING, finishHeader, finishHost, headerLiteralFault } from './request/header-value.ts'
import { limitsFor, usualLimits } from './liquid/limits.ts'
import { LimitFault, TemplateFault } from './liquid/template-fault.ts'
import {
  PartFault,
  TriggerCompiler,
  constantPart,
  type Part,
  type PartKind,
  type TriggerPlace,
} from './request/trigger-compiler.ts'
import { PATH_ESCAPING, finishPath, pathLiteralFault } from './request/url-path.ts'

export type { RenderContext, TemplateRow } from './liquid/frame.ts'
export { Patience, SlowRender } from './liquid/limits.ts'
export type { TriggerPlace } from './request/trigger-compiler.ts'

export type RenderResult =
  | {
      readonly kind: 'rendered'
      readonly method: string
      /** Appended to the base URL as it is. It is percent-encoded, and empty or begins with `/` or `?`. */
      readonly path: string
      readonly headers: { readonly [name: string]: string }
      readonly body: string | null
    }
  | {
      readonly kind: 'unrenderable'
      readonly error: string
      /** The name of the captured value that the row lacks; null if the error has another reason. */
      readonly lacks: string | null
      /** True if rendering stopped at a limit of work. */
      readonly isTooMuch?: true
    }

export interface CompiledTrigger {
  /** A request has at most this many rows and bytes of body; null for one row a request. */
  readonly batch: { readonly size: number; readonly bytes: number } | null
  /**
   * The columns that the templates may use. Some of these names may be no columns of the model. 'all' if the
   * templates use a row as a whole, or if the columns are known only while rendering.
   */
  readonly usedColumns: ReadonlySet<string> | 'all'
  /** `render` needs only these columns of its rows. */
  readonly neededColumns: ReadonlySet<string> | 'all'
  /**
   * Returns a mistake for each column that the templates use and the model lacks, with its place and the
   * nearest name. `columns` are the columns of the model.
   */
  unknownColumns(columns: readonly string[]): readonly ErrorDetail[]
  /**
   * Returns a mistake for each captured value that the templates use and no trigger captures, with its place
   * and the nearest name. `captured` has the names of all values that are captured.
   */
  uncapturedNames(captured: readonly string[]): readonly ErrorDetail[]
  /**
   * Returns the request for rows that are still encoded. The body is written without decoding them. Returns
   * null where the result might differ from that of `render`; the caller then calls `render`. That is so for
   * bodies without an outline, for rows that cannot be rendered, and for very large bodies. `rowsWith`
   * decodes columns of the same rows.
   */
  renderEncoded(
    rows: readonly AnyRow[],
    rowsWith: (columns: ReadonlySet<string> | 'all') => readonly TemplateRow[],
    context: RenderContext,
  ): EncodedRequest | null
  /**
   * Returns the request for one row, or for a batch of at least one. If the rows or the template make it
   * impossible, the result is `unrenderable`. Throws for a wrong number of rows, and a `SlowRender` once the
   * patience of the context ends.
   *
   * The rows may lack columns that are not in `neededColumns`. Then `wholeRows` has to give them with all
   * columns, since the size of a row says how much work a template may do.
   */
  render(
    rows: readonly TemplateRow[],
    context: RenderContext,
    wholeRows?: () => readonly TemplateRow[],
  ): RenderResult
}

/** A request whose body is UTF-8. */
export interface EncodedRequest {
  readonly method: string
  readonly path: string
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array | null
}

/**
 * Compiles the templates of a trigger. Throws a `SluiceError` `template` whose details name each template's
 * first mistake, with the field (`triggers.added.body.json`), line and column in the template's text.
 */
export function compileTrigger(spec: TriggerSpec, at: TriggerPlace): CompiledTrigger {
  const compiler = new TriggerCompiler(spec, at)
  const path = compiler.part('path', spec.path, PATH)
  const headers = compileHeaders(spec, compiler)
  const headColumns = withAllForSize(compiler.columnsSoFar())
  const body = spec.body === undefined ? null : compileBody(spec.body, compiler)
  const typed =
    body === null ? headers : withContentType(headers, body.contentType, at.destinationHeaders ?? [])
  if (removesNoRow(spec, at, compiler))
    compiler.wrong({
      field: 'path',
      message:
        'a DELETE for a removed row names no row, and would call the whole collection; ' +
        'use a column of the row, or write allowEmpty: true beside the path if that is meant',
    })
  else if (isSilentBatch(spec, compiler))
    compiler.wrong({
      field: 'batch',
      message:
        'a batch without a body says nothing of its rows; ' +
        'give it a body, or write allowEmpty: true beside the batch if that is meant',
    })
  compiler.throwIfWrong()
  const outline = jsonOutline(spec)
  const encoded = outline === null ? null : { body: new EncodedBody(outline), headColumns }
  return new Trigger(spec, { path, headers: typed, body: body?.part ?? null, encoded }, compiler)
}

/** True for a trigger of removals that makes the same DELETE for every row. */
function removesNoRow(spec: TriggerSpec, at: TriggerPlace, compiler: TriggerCompiler): boolean {
  if (at.op !== 'removed' || spec.method !== 'DELETE' || spec.body !== undefined) return false
  return spec.allowEmpty !== true && !compiler.usesRows && !compiler.isWrong
}

/**
 * True for a batch that sends the same empty request for all rows. The API would learn nothing of the rows,
 * and yet the rows would count as delivered.
 */
function isSilentBatch({ batch, body, allowEmpty }: TriggerSpec, compiler: TriggerCompiler): boolean {
  const hasNoBody = body === undefined || ('form' in body && Object.keys(body.form).length === 0)
  return batch !== undefined && hasNoBody && allowEmpty !== true && !compiler.usesRows && !compiler.isWrong
}

const PATH: PartKind = { escaping: PATH_ESCAPING, finish: finishPath, literal: pathLiteralFault }
const HEADER: PartKind = { escaping: HEADER_ESCAPING, finish: finishHeader, literal: headerLiteralFault }
const HOST: PartKind = { ...HEADER, finish: finishHost }

interface Header {
  readonly name: string
  readonly part: Part
}

function compileHeaders(spec: TriggerSpec, compiler: TriggerCompiler): readonly Header[] {
  const names = new Set<string>()
  return Object.entries(spec.headers ?? {}).map(([name, text]) => {
    const field = `headers.${name}`
    if (!HEADER_NAME.test(name))
      compiler.wrong({ field, message: `${JSON.stringify(name)} is no header name` })
    if (names.has(name.toLowerCase())) compiler.wrong({ field, message: `the header ${name} is there twice` })
    names.add(name.toLowerCase())
    const part = compiler.part(field, text, name.toLowerCase() === 'host' ? HOST : HEADER)
    return { name, part }
  })
}

/** Adds the body's Content-Type, unless the trigger or the destination sets one. */
function withContentType(
  headers: readonly Header[],
  contentType: string,
  destinationHeaders: Iterable<string>,
): readonly Header[] {
  const names = [...headers.map(header => header.name), ...destinationHeaders]
  if (names.some(name => name.toLowerCase() === 'content-type')) return headers
  return [{ name: 'Content-Type', part: constantPart(contentType) }, ...headers]
}

interface Parts {
  readonly path: Part
  readonly headers: readonly Header[]
  readonly body: Part | null
  /** The body for rows that are still encoded, and the columns that path and headers use. */
  readonly encoded: { readonly body: EncodedBody; readonly headColumns: ReadonlySet<string> | 'all' } | null
}

class Trigger implements CompiledTrigger {
  readonly batch: { readonly size: number; readonly bytes: number } | null
  readonly usedColumns: ReadonlySet<string> | 'all'
  readonly neededColumns: ReadonlySet<string> | 'all'
  readonly #compiler: TriggerCompiler
  readonly #method: string
  readonly #parts: Parts
  /** The headers, if they are the same for all rows. */
  readonly #constantHeaders: { readonly [name: string]: string } | null

  constructor(spec: TriggerSpec, parts: Parts, compiler: TriggerCompiler) {
    this.batch = spec.batch === undefined ? null : { size: spec.batch.size, bytes: spec.batch.bytes }
    this.usedColumns = compiler.usedColumns
    this.neededColumns = withAllForSize(this.usedColumns)
    this.#compiler = compiler
    this.#method = spec.method
    this.#parts = parts
    const constant = parts.headers.every(({ part }) => part.constant !== null)
    this.#constantHeaders = constant
      ? Object.freeze(headerMap(parts.headers, part => part.constant ?? ''))
      : null
  }

  renderEncoded(
    rows: readonly AnyRow[],
    rowsWith: (columns: ReadonlySet<string> | 'all') => readonly TemplateRow[],
    context: RenderContext,
  ): EncodedRequest | null {
    const { encoded } = this.#parts
    if (encoded === null || !rows.every(isEncoded)) return null
    const head = this.#renderHead(() => rowsWith(encoded.headColumns), context)
    const body = head === null ? null : encoded.body.write(rows)
    return head === null || body === null ? null : { ...head, body }
  }

  /** Renders method, path and headers; null where that is impossible. */
  #renderHead(
    rows: () => readonly TemplateRow[],
    context: RenderContext,
  ): Omit<EncodedRequest, 'body'> | null {
    const { path } = this.#parts
    const method = this.#method
    if (path.constant !== null && this.#constantHeaders !== null)
      return { method, path: path.constant, headers: this.#constantHeaders }
    try {
      const given = rows()
      const frame = new Frame(given, context, usualLimits(given.length))
      return { method, path: path.run(frame), headers: this.#headersFor(frame) }
    } catch (error) {
      if (error instanceof TemplateFault) return null
      throw error
    }
  }

  render(
    rows: readonly TemplateRow[],
    context: RenderContext,
    wholeRows: () => readonly TemplateRow[] = () => rows,
  ): RenderResult {
    if (this.batch === null ? rows.length !== 1 : rows.length === 0)
      throw new Error(
        `a request ${this.batch === null ? 'of one row' : 'of a batch'} cannot have ${rows.length} rows`,
      )
    try {
      return this.#render(new Frame(rows, context, usualLimits(rows.length)))
    } catch (error) {
      return error instanceof LimitFault ? this.#renderLarge(wholeRows(), context) : unrenderable(error)
    }
  }

  unknownColumns(columns: readonly string[]): readonly ErrorDetail[] {
    return this.#compiler.unknownColumns(columns)
  }

  uncapturedNames(captured: readonly string[]): readonly ErrorDetail[] {
    return this.#compiler.uncapturedNames(captured)
  }

  #renderLarge(rows: readonly TemplateRow[], context: RenderContext): RenderResult {
    try {
      return this.#render(new Frame(rows, context, limitsFor(rows.length, rows)))
    } catch (error) {
      return unrenderable(error)
    }
  }

  #render(frame: Frame): RenderResult {
    const { path, body } = this.#parts
    return {
      kind: 'rendered',
      method: this.#method,
      path: path.run(frame),
      headers: this.#headersFor(frame),
      body: body === null ? null : body.run(frame),
    }
  }

  #headersFor(frame: Frame): { readonly [name: string]: string } {
    return this.#constantHeaders ?? headerMap(this.#parts.headers, part => part.run(frame))
  }
}

/**
 * Adds all columns if the templates use `size`: in a row without a column of that name, it is the number of
 * columns.
 */
function withAllForSize(used: ReadonlySet<string> | 'all'): ReadonlySet<string> | 'all' {
  return used === 'all' || used.has('size') ? 'all' : used
}

function isEncoded(row: AnyRow): row is EncodedRow {
  return row instanceof EncodedRow
}

function headerMap(
  headers: readonly Header[],
  textOf: (part: Part) => string,
): { readonly [name: string]: string } {
  return Object.fromEntries(headers.map(({ name, part }) => [name, textOf(part)]))
}

function unrenderable(error: unknown): RenderResult {
  if (!(error instanceof TemplateFault)) throw error
  return {
    kind: 'unrenderable',
    error: error.message,
    lacks: error instanceof PartFault ? error.lacks : null,
    ...(error instanceof LimitFault ? { isTooMuch: true } : {}),
  }
}
