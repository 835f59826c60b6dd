/** The body of an answer as rules and captures read it: its text, and its JSON. */

/** JSON in which each number stays as it was written, so that captured values keep all their digits (R18). */
declare global {
  interface JSON {
    /** An object that JSON.stringify writes as this text (ECMAScript 2026). */
    rawJSON(text: string): object
  }
}

/** Makes the result of JSON.parse. `source` is the text of a number (ECMAScript 2026, source text access). */
type Revive = (name: string, value: unknown, context?: { readonly source?: string }) => unknown

/** `JSON.parse`, typed for a reviver that gets the text of numbers. */
const parse: (text: string, revive: Revive) => unknown = JSON.parse

/**
 * Parses a JSON text. A number that JavaScript would write differently becomes an object that JSON.stringify
 * writes as it was. Throws a `SyntaxError` for a text that is no JSON, and a `RangeError` for one that is
 * nested too deep. `seen` is called for each value in it.
 */
export function parseAsWritten(text: string, seen?: () => void): unknown {
  return parse(text, (_name, value, context) => {
    seen?.()
    if (typeof value !== 'number') return value
    const source = context?.source ?? String(value)
    return String(value) === source ? value : JSON.rawJSON(source)
  })
}

/** The JSON of a body. `unclear`: it cannot be read, with the reason. */
type BodyJson =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'none' }
  | { readonly kind: 'unclear'; readonly why: string }

export class AnswerBody {
  readonly text: string
  /** The reason why a part of the body is not in `text`; null if all of it is. */
  readonly cut: string | null
  readonly #paths: number
  #json: BodyJson | null = null

  /** `paths` is the number of JSONPaths that read it. */
  constructor(text: string, cut: string | null, paths = 1) {
    this.text = text
    this.cut = cut
    this.#paths = paths
  }

  /** The JSON, which is parsed at the first call. */
  get json(): BodyJson {
    this.#json ??= this.cut === null ? parsed(this.text, this.#paths) : { kind: 'unclear', why: this.cut }
    return this.#json
  }
}

/**
 * The most looks at values. Each path looks at each value at most once, and this many looks take less than a
 * second.
 */
const MAX_LOOKS = 10_000_000

function parsed(text: string, paths: number): BodyJson {
  let values = 0
  try {
    const value = parseAsWritten(text, () => (values += 1))
    if (values * paths <= MAX_LOOKS) return { kind: 'json', value }
    const most = Math.floor(MAX_LOOKS / paths)
    return { kind: 'unclear', why: `the answer has ${values} values, and ${paths} JSONPaths look at ${most}` }
  } catch (error) {
    // The reviver recurses, so deep nesting exhausts the stack.
    if (error instanceof RangeError) return { kind: 'unclear', why: "the answer's JSON is nested too deep" }
    return { kind: 'none' }
  }
}
