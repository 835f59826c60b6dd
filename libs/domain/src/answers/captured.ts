/**
 * Values of answers that are kept with their rows (`capture`), as the JSON text that goes through the topics.
 */
import { type AnswerBody, parseAsWritten } from './answer-body.ts'
import { compileJsonPath } from './answer-rules.ts'
import { valuesAt, type JsonPath } from './json-path.ts'

/** The longest value, as JSON in UTF-8. It goes with every later change of its row. */
export const MAX_CAPTURED_BYTES = 4096

export interface Capture {
  readonly name: string
  readonly path: JsonPath
}

export interface CapturedNow {
  /** JSON text, name → value; null if nothing was captured. */
  readonly values: string | null
  /** The values that were not captured, with the reason. */
  readonly lacking: readonly { readonly name: string; readonly why: string }[]
}

/**
 * Compiles the paths of the values to capture. Throws `config` for a wrong JSONPath, which a checked project
 * cannot have.
 */
export function compileCaptures(spec: { readonly [name: string]: string } = {}): readonly Capture[] {
  return Object.entries(spec).map(([name, path]) => ({ name, path: compileJsonPath(path) }))
}

/**
 * Captures the values of an answer. A path with `[*]` gives a list of all values that it finds. Null and
 * missing values are not captured, and neither are values that `isSecret` knows.
 */
export function captureFrom(
  captures: readonly Capture[],
  body: Pick<AnswerBody, 'json'>,
  isSecret: (json: string) => boolean,
): CapturedNow {
  const values: string[] = []
  const lacking: { name: string; why: string }[] = []
  for (const { name, path } of captures) {
    const found = jsonAt(path, body)
    const why =
      found.kind === 'none' ? found.why : isSecret(found.json) ? 'what it finds holds a secret' : null
    if (found.kind === 'none' || why !== null) lacking.push({ name, why: `${path.text}: ${why ?? ''}` })
    else values.push(`${JSON.stringify(name)}:${found.json}`)
  }
  return { values: values.length === 0 ? null : `{${values.join(',')}}`, lacking }
}

type JsonAt =
  { readonly kind: 'found'; readonly json: string } | { readonly kind: 'none'; readonly why: string }

function jsonAt(path: JsonPath, { json }: Pick<AnswerBody, 'json'>): JsonAt {
  if (json.kind === 'unclear') return { kind: 'none', why: json.why }
  if (json.kind === 'none') return { kind: 'none', why: 'the answer is no JSON' }
  const found = valuesAt(path, json.value)
  const value: unknown = path.many && found.length > 0 ? found : found[0]
  if (value === undefined || value === null) return { kind: 'none', why: 'it finds nothing in the answer' }
  const text = textOf(value)
  if (text === null || Buffer.byteLength(text) > MAX_CAPTURED_BYTES)
    return { kind: 'none', why: `what it finds has more than ${MAX_CAPTURED_BYTES} bytes` }
  return { kind: 'found', json: text }
}

/** Returns the value as JSON; null if it is nested too deep to be written. */
function textOf(value: unknown): string | null {
  try {
    return JSON.stringify(value)
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

/** Returns the values captured before and now. A new value replaces an old one of the same name. */
export function mergeCaptured(before: string | null, now: string): string {
  return before === null ? now : JSON.stringify({ ...fieldsOf(before), ...fieldsOf(now) })
}

/** True if a value of that name was captured before. */
export function hasCaptured(before: string | null, name: string): boolean {
  return before !== null && Object.hasOwn(fieldsOf(before), name)
}

function fieldsOf(json: string): object {
  const values = parseAsWritten(json)
  return typeof values === 'object' && values !== null ? values : {}
}
