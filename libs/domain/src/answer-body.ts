/**
 * The body of an answer, as rules and captures look at it: its text, and its JSON with each number as it was
 * written, so that what is captured keeps all its digits (R18).
 */

declare global {
  interface JSON {
    /** An object that JSON.stringify writes as this text (ECMAScript 2026). */
    rawJSON(text: string): object
  }
}

/** What the JSON of a body is; `untold` says why nobody can know. */
export type BodyJson =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'none' }
  | { readonly kind: 'untold'; readonly why: string }

export class AnswerBody {
  readonly text: string
  /** Why a part of the body is not in `text`; null where all of it is. */
  readonly cut: string | null
  #json: BodyJson | null = null

  constructor(text: string, cut: string | null) {
    this.text = text
    this.cut = cut
  }

  /** Parsed when first asked for. */
  get json(): BodyJson {
    this.#json ??= this.cut === null ? parsed(this.text) : { kind: 'untold', why: this.cut }
    return this.#json
  }
}

/**
 * Makes what JSON.parse is to give for a value; `source` is how a number was written (ECMAScript 2026,
 * JSON.parse source text access).
 */
type Revive = (name: string, value: unknown, context?: { readonly source?: string }) => unknown

/** `JSON.parse`, typed by what comes out of it with such a reviver. */
const parse: (text: string, revive: Revive) => unknown = JSON.parse

function parsed(text: string): BodyJson {
  try {
    return { kind: 'json', value: parse(text, asWritten) }
  } catch (error) {
    // The reviver goes down level by level, and the stack ends somewhere.
    if (error instanceof RangeError) return { kind: 'untold', why: "the answer's JSON is nested too deep" }
    return { kind: 'none' }
  }
}

function asWritten(_name: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number') return value
  const source = context?.source ?? String(value)
  return String(value) === source ? value : JSON.rawJSON(source)
}
