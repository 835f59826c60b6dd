/** Compiles the texts of one trigger and gathers their mistakes, so that a user sees all of them at once. */
import { messageOf, SluiceError, type ErrorDetail } from '@sluice/contracts/errors'
import type { TriggerSpec } from '@sluice/contracts/resources'
import type { Op } from '@sluice/contracts/state'
import { nearestHint, nearestName } from '@sluice/domain/nearest-name'
import { compileTemplate, type CompiledTemplate, type Escaping } from '../liquid/compile-template.ts'
import type { Frame } from '../liquid/frame.ts'
import { assertLiterals, type LiteralCheck } from './literal-texts.ts'
import { parseTemplate } from '../liquid/parse/parse-template.ts'
import { SlowRender } from '../liquid/limits.ts'
import { GIVEN_NAMES, type Sees } from '../liquid/scope.ts'
import { LimitFault, NeverCaptured, TemplateFault, placeOf } from '../liquid/template-fault.ts'
import { printableLine } from '../values/printable.ts'
import { templateNames } from '../liquid/template-names.ts'

/** Names the trigger in messages. */
export interface TriggerPlace {
  readonly sync: string
  readonly op: Op
  /** Names of headers that the destination sets. Its Content-Type counts if the trigger sets none. */
  readonly destinationHeaders?: Iterable<string>
}

/** One text of a request: its path, a header, its body, or a part of these. */
export interface Part {
  /** The text, if it is the same for all rows; else null. */
  readonly constant: string | null
  /** Renders the text for the frame's rows. Throws a `PartFault`, a `LimitFault` or a `SlowRender`. */
  run(frame: Frame): string
}

/** A fault of rendering whose message says which field it happened in. */
export class PartFault extends TemplateFault {
  /** The name of the captured value that the row lacks; null if the fault has another reason. */
  readonly lacks: string | null

  constructor(message: string, lacks: string | null = null) {
    super(message)
    this.lacks = lacks
  }
}

/** A fault of the rendered text. Its message names the place in that text. */
export class ContentFault extends TemplateFault {}

export interface PartKind {
  readonly escaping: Escaping | null
  /** True for a text that has to be JSON. */
  readonly isJson?: boolean
  /** Turns the rendered text into the text that is sent. Throws a `TemplateFault` if that is not possible. */
  finish(rendered: string, written: string): string
  /** Finds faults of a piece of the template between its tags, which no value around it can mend. */
  readonly literal?: LiteralCheck
}

/** A use of a column, or of a captured value, that has to exist. */
interface NameUse {
  readonly name: string
  readonly field: string
  readonly place: { readonly line: number; readonly column: number } | null
}

const FIXED_VALUE = /^(true|false|null|-?\d+(\.\d+)?)$/

/** Replaces a part whose mistake is noted. */
export const WRONG_PART: Part = { constant: '', run: () => '' }

export function constantPart(text: string): Part {
  return { constant: text, run: () => text }
}

export class TriggerCompiler implements Sees {
  /** True if requests have several rows. */
  readonly batched: boolean
  /** True for a batch whose body may not be empty. */
  readonly mustSaySomething: boolean
  readonly #at: TriggerPlace
  readonly #details: ErrorDetail[] = []
  readonly #columns = new Set<string>()
  readonly #uses: NameUse[] = []
  readonly #capturedUses: NameUse[] = []
  #usesWholeRow = false
  #usesRows = false

  constructor({ batch, allowEmpty = false }: TriggerSpec, at: TriggerPlace) {
    this.batched = batch !== undefined
    this.mustSaySomething = this.batched && !allowEmpty
    this.#at = at
  }

  /** True if a text compiled so far uses anything of its rows. */
  get usesRows(): boolean {
    return this.#usesRows
  }

  /** The columns that texts use. Texts that are compiled later add theirs to this set. */
  get usedColumns(): ReadonlySet<string> | 'all' {
    return this.#usesWholeRow ? 'all' : this.#columns
  }

  /** A copy of the columns that the texts compiled so far use. */
  columnsSoFar(): ReadonlySet<string> | 'all' {
    return this.#usesWholeRow ? 'all' : new Set(this.#columns)
  }

  /** Compiles a text. If it is wrong, notes the mistake and returns an empty part. */
  part(field: string, text: string, kind: PartKind, sees: Sees = this): Part {
    try {
      const parsed = parseTemplate(text)
      const names = templateNames(parsed.nodes, sees)
      for (const name of names.columns) this.#columns.add(name)
      for (const [name, at] of names.current) {
        if (!names.ambiguous.has(name)) this.#uses.push({ name, field, place: placeOf(text, at) })
      }
      for (const [name, at] of names.captured)
        this.#capturedUses.push({ name, field, place: placeOf(text, at) })
      if (names.usesWholeRow) this.#usesWholeRow = true
      if (names.usesRows) this.#usesRows = true
      const compiled = compileTemplate(parsed, {
        batched: sees.batched,
        wraps: sees.wraps === true,
        escaping: kind.escaping,
        isJson: kind.isJson === true,
      })
      if (compiled.constant === null) {
        if (kind.literal !== undefined) assertLiterals(parsed.nodes, kind.literal)
        return dynamicPart(field, compiled, { kind, text })
      }
      return constantPart(finishConstant(compiled.constant, text, kind))
    } catch (error) {
      if (!(error instanceof TemplateFault)) throw error
      this.wrong({ field, ...placeOf(text, error.at ?? 0), message: error.message })
      return WRONG_PART
    }
  }

  /** Notes that a field takes its value from a column, without a template. */
  uses(name: string, field: string): void {
    this.#usesRows = true
    this.#columns.add(name)
    this.#uses.push({ name, field, place: null })
  }

  /** See `CompiledTrigger.unknownColumns`. */
  unknownColumns(columns: readonly string[]): ErrorDetail[] {
    const known = new Set(columns)
    return this.#uses
      .filter(({ name }) => !known.has(name))
      .map(({ name, field, place }) => {
        const message = `unknown column "${name}"${hintFor(name, columns)}`
        return { field: this.#fieldOf(field), ...place, message }
      })
  }

  /** See `CompiledTrigger.uncapturedNames`. */
  uncapturedNames(captured: readonly string[]): ErrorDetail[] {
    return this.#capturedUses
      .filter(({ name }) => !captured.includes(name))
      .map(({ name, field, place }) => {
        const nearest = nearestName(name, captured)
        const hint =
          nearest === null
            ? `write capture: { ${name}: … } where it comes from`
            : `did you mean "${nearest}"?`
        const message = `no trigger captures "${name}"; ${hint}`
        return { field: this.#fieldOf(field), ...place, message }
      })
  }

  #fieldOf(field: string): string {
    return `triggers.${this.#at.op}.${field}`
  }

  /** Notes a mistake. Its field is relative to the trigger, such as `body.json`. */
  wrong(detail: ErrorDetail): void {
    this.#details.push({ ...detail, field: this.#fieldOf(detail.field ?? '') })
  }

  /** True if there was any mistake so far. */
  get isWrong(): boolean {
    return this.#details.length > 0
  }

  /** Throws a `SluiceError` if there was any mistake. */
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

/** Suggests the nearest column, or a fixed value where the name looks like one. */
function hintFor(name: string, columns: readonly string[]): string {
  const nearest = nearestHint(name, [...columns, ...GIVEN_NAMES])
  if (nearest !== '') return nearest
  return FIXED_VALUE.test(name) ? `; write { value: ${name} } for the fixed value` : ''
}

/** Finishes a text that is the same for all rows. Throws a `TemplateFault` for a mistake in it. */
function finishConstant(rendered: string, text: string, kind: PartKind): string {
  try {
    return kind.finish(rendered, text)
  } catch (error) {
    // The rendered text lacks the tags, so its places are not the places of the template.
    if (error instanceof TemplateFault && rendered !== text) throw new TemplateFault(error.message)
    throw error
  }
}

function dynamicPart(
  field: string,
  compiled: CompiledTemplate,
  { kind, text }: { kind: PartKind; text: string },
): Part {
  return {
    constant: null,
    run: frame => {
      try {
        const rendered = compiled.run(frame)
        frame.context.patience?.checkText(rendered)
        return kind.finish(rendered, text)
      } catch (error) {
        throw faultIn(field, error, () => placeOf(text, frame.at))
      }
    },
  }
}

function lackedBy(error: unknown): string | null {
  if (error instanceof NeverCaptured) return error.captured
  return error instanceof PartFault ? error.lacks : null
}

const MAX_FOREIGN_LENGTH = 80

/**
 * Our own messages shorten values. A message of a library may show a whole value, so it is shortened here.
 */
function shownMessageOf(error: unknown): string {
  const message = messageOf(error)
  if (error instanceof TemplateFault || message.length <= MAX_FOREIGN_LENGTH) return message
  return printableLine(`${message.slice(0, MAX_FOREIGN_LENGTH)}…`)
}

/**
 * Turns an error into a fault that names the field and, if the template is at fault, the place in its text.
 * Rethrows a `SlowRender`, which says nothing of the template.
 */
export function faultIn(
  field: string,
  error: unknown,
  place: (() => { line: number; column: number }) | null,
): TemplateFault {
  if (error instanceof SlowRender) throw error
  const message = shownMessageOf(error)
  let text = `${field}: ${message}`
  if (place !== null && !(error instanceof ContentFault)) {
    const { line, column } = place()
    text += ` (line ${line}, column ${column} of the template)`
  }
  const overLimit = error instanceof LimitFault || message === 'memory alloc limit exceeded'
  return overLimit ? new LimitFault(text) : new PartFault(text, lackedBy(error))
}
