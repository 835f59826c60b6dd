/** The body of an answer, as rules and captures look at it: its text, and its JSON. */
import { parseAsWritten } from './json-as-written.ts'

/** What the JSON of a body is. `untold` says why that cannot be known. */
export type BodyJson =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'none' }
  | { readonly kind: 'untold'; readonly why: string }

export class AnswerBody {
  readonly text: string
  /** Why a part of the body is not in `text`; null if all of it is. */
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

function parsed(text: string): BodyJson {
  try {
    return { kind: 'json', value: parseAsWritten(text) }
  } catch (error) {
    // The reviver goes down level by level, and the stack ends somewhere.
    if (error instanceof RangeError) return { kind: 'untold', why: "the answer's JSON is nested too deep" }
    return { kind: 'none' }
  }
}
