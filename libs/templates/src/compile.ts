/**
 * From a trigger as it is written to requests: all its templates are parsed and checked once, then rendered
 * for row after row. Pure: the same rows and context give the same request, on every machine and at any time.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { ErrorDetail } from '@sluice/contracts/errors'
import type { TriggerSpec } from '@sluice/contracts/resources'
import type { Op } from '@sluice/contracts/state'
import { compileTemplate } from './compile-template.ts'
import type { CompiledTemplate, Escaping } from './compile-template.ts'
import { Frame } from './frame.ts'
import type { RenderContext, TemplateRow } from './frame.ts'
import { HEADER_ESCAPING, HEADER_NAME, finishHeader } from './header-value.ts'
import { finishJson } from './json-text.ts'
import { limitsFor, usualLimits } from './limits.ts'
import { parseTemplate } from './parse-template.ts'
import { LimitFault, TemplateFault, placeOf } from './template-fault.ts'
import { templateNames } from './template-names.ts'
import { PATH_ESCAPING, finishPath } from './url-path.ts'

export type { RenderContext, TemplateRow } from './frame.ts'

/** Where a trigger stands, for messages. */
export interface TriggerPlace {
  readonly sync: string
  readonly op: Op
  /**
   * Names of headers that the destination sets; it has the say over Content-Type where the trigger is silent.
   */
  readonly destinationHeaders?: Iterable<string>
}

export type RenderResult =
  | {
      readonly kind: 'rendered'
      readonly method: string
      /** Appended to the base URL as it is; percent-encoded; empty, or beginning with `/` or `?`. */
      readonly path: string
      readonly headers: { readonly [name: string]: string }
      readonly body: string | null
    }
  | { readonly kind: 'unrenderable'; readonly error: string }

export interface CompiledTrigger {
  /** At most how many rows, and bytes of body, a request has; null for one row a request. */
  readonly batch: { readonly size: number; readonly bytes: number } | null
  /**
   * The columns that the templates use, or may use. A name may be there that is no column of the model. 'all'
   * where a row is used as a whole, or where it cannot be told.
   */
  readonly usedColumns: ReadonlySet<string> | 'all'
  /**
   * The request for these rows: one, or for a batch at least one. What the rows or the template make
   * impossible is `unrenderable`; nothing is thrown but for a wrong number of rows.
   */
  render(rows: readonly TemplateRow[], context: RenderContext): RenderResult
}

/**
 * Compiles the templates of a trigger. Throws a `SluiceError` `template` whose details name each template's
 * first mistake, with the field (`triggers.added.body.json`), line and column in the template's text.
 */
export function compileTrigger(spec: TriggerSpec, at: TriggerPlace): CompiledTrigger {
  const compiler = new TriggerCompiler(spec.batch !== undefined, at)
  const path = compiler.part('path', spec.path, { escaping: PATH_ESCAPING, finish: finishPath })
  const headers = compileHeaders(spec, compiler, at.destinationHeaders ?? [])
  const body = spec.body === undefined ? null : compiler.body('body.json', spec.body.json)
  compiler.throwIfWrong()
  return new Trigger(spec, { path, headers, body }, compiler.usedColumns)
}

const CONTENT_TYPE = 'Content-Type'

function compileHeaders(
  spec: TriggerSpec,
  compiler: TriggerCompiler,
  destinationHeaders: Iterable<string>,
): readonly Header[] {
  const headers: Header[] = []
  const names = new Set<string>()
  for (const [name, text] of Object.entries(spec.headers ?? {})) {
    const field = `headers.${name}`
    if (!HEADER_NAME.test(name))
      compiler.wrong({ field, message: `${JSON.stringify(name)} is no header name` })
    if (names.has(name.toLowerCase())) compiler.wrong({ field, message: `the header ${name} is there twice` })
    names.add(name.toLowerCase())
    const part = compiler.part(field, text, { escaping: HEADER_ESCAPING, finish: finishHeader })
    headers.push({ name, part })
  }
  for (const name of destinationHeaders) names.add(name.toLowerCase())
  if (spec.body !== undefined && !names.has(CONTENT_TYPE.toLowerCase()))
    headers.unshift({
      name: CONTENT_TYPE,
      part: { constant: 'application/json', run: () => 'application/json' },
    })
  return headers
}

/** One text of a request. */
interface Part {
  /** The text, where it is the same for all rows. */
  readonly constant: string | null
  run(frame: Frame): string
}

interface Header {
  readonly name: string
  readonly part: Part
}

/** A fault of rendering, with the field it happened in. */
class PartFault extends TemplateFault {}

interface Kind {
  readonly escaping: Escaping | null
  /** Makes the rendered text what is sent; throws a `TemplateFault` where it cannot be. */
  finish(rendered: string, written: string): string
}

/** Compiles the parts of one trigger and gathers their mistakes. */
class TriggerCompiler {
  readonly #batched: boolean
  readonly #at: TriggerPlace
  readonly #details: ErrorDetail[] = []
  readonly #columns = new Set<string>()
  #whole = false

  constructor(batched: boolean, at: TriggerPlace) {
    this.#batched = batched
    this.#at = at
  }

  get usedColumns(): ReadonlySet<string> | 'all' {
    return this.#whole ? 'all' : this.#columns
  }

  body(field: string, text: string): Part {
    return this.part(field, text, {
      escaping: null,
      finish: rendered => {
        const checked = finishJson(rendered)
        if (checked.ok) return checked.text
        throw new PartFault(checked.error, checked.at)
      },
    })
  }

  part(field: string, text: string, kind: Kind): Part {
    try {
      const parsed = parseTemplate(text)
      const names = templateNames(parsed.nodes, this.#batched)
      for (const name of names.columns.keys()) this.#columns.add(name)
      if (names.whole) this.#whole = true
      const compiled = compileTemplate(parsed, { batched: this.#batched, escaping: kind.escaping })
      if (compiled.constant === null) return dynamicPart(field, compiled, { kind, text })
      const constant = finishConstant(compiled.constant, text, kind)
      return { constant, run: () => constant }
    } catch (error) {
      if (!(error instanceof TemplateFault)) throw error
      this.wrong({ field, ...placeOf(text, error.at ?? 0), message: error.message })
      return { constant: '', run: () => '' }
    }
  }

  wrong(detail: ErrorDetail): void {
    this.#details.push({ ...detail, field: `triggers.${this.#at.op}.${detail.field ?? ''}` })
  }

  throwIfWrong(): void {
    const [first] = this.#details
    if (first === undefined) return
    const place = first.line === undefined ? '' : ` at line ${first.line}, column ${first.column ?? 1}`
    throw new SluiceError(
      'template',
      `sync ${this.#at.sync}: the template ${first.field ?? ''} is wrong${place}: ${first.message}`,
      { details: this.#details },
    )
  }
}

/** What is sent of a text that needs no rendering; a mistake in it is told with its place. */
function finishConstant(rendered: string, text: string, kind: Kind): string {
  try {
    return kind.finish(rendered, text)
  } catch (error) {
    // Places in a text that tags were cut out of are not places in the template.
    if (error instanceof TemplateFault && rendered !== text) throw new TemplateFault(error.message)
    throw error
  }
}

function dynamicPart(
  field: string,
  compiled: CompiledTemplate,
  { kind, text }: { kind: Kind; text: string },
): Part {
  return {
    constant: null,
    run: frame => {
      try {
        return kind.finish(compiled.run(frame), text)
      } catch (error) {
        throw located(error, field, () => placeOf(text, frame.at))
      }
    },
  }
}

/** The error as a fault that names the field and, where the template's text is to blame, the place in it. */
function located(
  error: unknown,
  field: string,
  place: () => { line: number; column: number },
): TemplateFault {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof PartFault) return new PartFault(`${field}: ${message}`)
  const { line, column } = place()
  const text = `${field}: ${message} (line ${line}, column ${column} of the template)`
  const overLimit = error instanceof LimitFault || message === 'memory alloc limit exceeded'
  return overLimit ? new LimitFault(text) : new PartFault(text)
}

interface Parts {
  readonly path: Part
  readonly headers: readonly Header[]
  readonly body: Part | null
}

class Trigger implements CompiledTrigger {
  readonly batch: { readonly size: number; readonly bytes: number } | null
  readonly usedColumns: ReadonlySet<string> | 'all'
  readonly #method: string
  readonly #parts: Parts
  /** The headers, where they are the same for all rows. */
  readonly #constantHeaders: { readonly [name: string]: string } | null

  constructor(spec: TriggerSpec, parts: Parts, usedColumns: ReadonlySet<string> | 'all') {
    this.batch = spec.batch === undefined ? null : { size: spec.batch.size, bytes: spec.batch.bytes }
    this.usedColumns = usedColumns
    this.#method = spec.method
    this.#parts = parts
    const constant = parts.headers.every(({ part }) => part.constant !== null)
    this.#constantHeaders = constant
      ? Object.freeze(headerMap(parts.headers, part => part.constant ?? ''))
      : null
  }

  render(rows: readonly TemplateRow[], context: RenderContext): RenderResult {
    if (this.batch === null ? rows.length !== 1 : rows.length === 0)
      throw new Error(
        `a request ${this.batch === null ? 'of one row' : 'of a batch'} cannot have ${rows.length} rows`,
      )
    try {
      return this.#render(new Frame(rows, context, usualLimits(rows.length)))
    } catch (error) {
      return error instanceof LimitFault ? this.#renderLarge(rows, context) : unrenderable(error)
    }
  }

  #renderLarge(rows: readonly TemplateRow[], context: RenderContext): RenderResult {
    try {
      return this.#render(new Frame(rows, context, limitsFor(rows.length, rows)))
    } catch (error) {
      return unrenderable(error)
    }
  }

  #render(frame: Frame): RenderResult {
    const { path, headers, body } = this.#parts
    return {
      kind: 'rendered',
      method: this.#method,
      path: path.run(frame),
      headers: this.#constantHeaders ?? headerMap(headers, part => part.run(frame)),
      body: body === null ? null : body.run(frame),
    }
  }
}

function headerMap(
  headers: readonly Header[],
  textOf: (part: Part) => string,
): { readonly [name: string]: string } {
  return Object.fromEntries(headers.map(({ name, part }) => [name, textOf(part)]))
}

function unrenderable(error: unknown): RenderResult {
  if (error instanceof TemplateFault) return { kind: 'unrenderable', error: error.message }
  throw error
}
