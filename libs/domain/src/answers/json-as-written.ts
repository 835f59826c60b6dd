/** JSON in which each number stays as it was written, so that captured values keep all their digits (R18). */

declare global {
  interface JSON {
    /** An object that JSON.stringify writes as this text (ECMAScript 2026). */
    rawJSON(text: string): object
  }
}

/**
 * Makes the value that JSON.parse is to give. `source` is how a number was written (ECMAScript 2026,
 * JSON.parse source text access).
 */
type Revive = (name: string, value: unknown, context?: { readonly source?: string }) => unknown

/** `JSON.parse`, with the type of its result for such a reviver. */
const parse: (text: string, revive: Revive) => unknown = JSON.parse

/**
 * The value of a JSON text. A number that JavaScript would write otherwise becomes an object that
 * JSON.stringify writes as it was. Throws a `SyntaxError` for a text that is no JSON, and a `RangeError` for
 * one that is nested too deep. `seen` is called for each value in it.
 */
export function parseAsWritten(text: string, seen?: () => void): unknown {
  return parse(text, (_name, value, context) => {
    seen?.()
    if (typeof value !== 'number') return value
    const source = context?.source ?? String(value)
    return String(value) === source ? value : JSON.rawJSON(source)
  })
}
