/**
 * Checks the JSON that templates write, and cuts out trailing commas. It never prints a parsed value, so that
 * the user's bytes, numbers and key order stay.
 */
import { placeOf } from '../liquid/template-fault.ts'
import { printableCharacter, printableLine } from '../values/printable.ts'

/** `at` is the place of the error in the given text. */
export type JsonCheck =
  | { readonly ok: true; readonly text: string; readonly value: unknown }
  | { readonly ok: false; readonly error: string; readonly at: number }

/** Returns the text without trailing commas if that is JSON. Otherwise returns the error with its place. */
export function finishJson(text: string): JsonCheck {
  // A loop usually leaves its comma before the last bracket. That comma can be cut without a scan: if it were
  // inside a string, the text would end within that string and not be JSON anyway.
  const likely = withoutLastComma(text)
  const found = parsed(likely)
  if (found !== null) return { ok: true, text: likely, value: found.value }
  const scan = scanJson(text)
  if (scan.error !== null)
    return { ok: false, error: describeJsonError(text, scan.error, 'the body'), at: scan.error.at }
  const stripped = without(text, scan.commas)
  const mended = parsed(stripped)
  if (mended !== null) return { ok: true, text: stripped, value: mended.value }
  return { ok: false, error: 'the body is not JSON', at: 0 }
}

/** Returns the error of a text that is not JSON; null if it is. Trailing commas are errors. */
export function strictJsonError(text: string, subject: string): string | null {
  if (parsed(text) !== null) return null
  const { error, commas } = scanJson(text)
  const comma = commas[0] ?? 0
  const first = error ?? { at: comma, expected: 'no comma before a closing bracket' }
  return describeJsonError(text, first, subject)
}

/** Parses JSON text, with numbers as JavaScript has them; null for a text that is no JSON. */
function parsed(text: string): { readonly value: unknown } | null {
  try {
    const value: unknown = JSON.parse(text)
    return { value }
  } catch {
    return null
  }
}

/** True for a list or map that is empty, or has only empty lists and maps: `[]`, `{"rows":[]}`. */
export function saysNothing(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value).every(saysNothing)
}

const COMMA = 0x2c
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_MAP = 0x7b
const CLOSE_MAP = 0x7d
const COLON = 0x3a

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

function withoutLastComma(text: string): string {
  let close = text.length - 1
  while (close > 0 && isBlank(text.charCodeAt(close))) close -= 1
  const code = text.charCodeAt(close)
  if (code !== CLOSE_LIST && code !== CLOSE_MAP) return text
  let comma = close - 1
  while (comma > 0 && isBlank(text.charCodeAt(comma))) comma -= 1
  if (text.charCodeAt(comma) !== COMMA) return text
  // A comma right behind an opening bracket is no trailing comma. The scan reports it.
  let item = comma - 1
  while (item > 0 && isBlank(text.charCodeAt(item))) item -= 1
  const last = text.charCodeAt(item)
  return last === OPEN_LIST || last === OPEN_MAP ? text : text.slice(0, comma) + text.slice(comma + 1)
}

function without(text: string, places: readonly number[]): string {
  let rest = ''
  let from = 0
  for (const place of places) {
    rest += text.slice(from, place)
    from = place + 1
  }
  return rest + text.slice(from)
}

interface JsonError {
  readonly at: number
  readonly expected: string
}

interface JsonScan {
  /** The places of trailing commas. */
  readonly commas: readonly number[]
  /** The first error, trailing commas aside; null if there is none. */
  readonly error: JsonError | null
}

/** The scanner's state: the token that it expects next. */
type Expectation = 'value' | 'value or ]' | 'name or }' | ': ' | ', or ]' | ', or }' | 'end'

const EXPECTED: { readonly [expectation in Expectation]: string } = {
  value: 'a value',
  'value or ]': 'a value or "]"',
  'name or }': 'a name in quotes or "}"',
  ': ': '":"',
  ', or ]': '"," or "]"',
  ', or }': '"," or "}"',
  end: 'nothing more after the value',
}

const NUMBER = /-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const WORD = /true|false|null/y

/** A place in JSON text where a value is put in later. */
export interface HolePlace {
  /**
   * The brackets that are open around the hole, and the kind of hole. The same text may follow two holes of
   * one state.
   */
  readonly state: string
  readonly inString: boolean
}

export interface HoleScan {
  /** The given pieces, without trailing commas. */
  readonly pieces: readonly string[]
  readonly places: readonly HolePlace[]
  /** True if a value of the text is a string, a number, a word, or a hole without `| json`. */
  readonly hasScalar: boolean
}

/** This character stands for a value of any kind, as JSON. */
const JSON_HOLE = 0
/**
 * This character stands for digits or a word, or inside a string for text without quotes, backslashes and
 * control characters.
 */
const PRINTED_HOLE = 1
const HOLES = /[\u0000\u0001]/

/**
 * Scans JSON text with a hole between each two pieces. Returns null unless the text is JSON for all values
 * that the holes may have. A trailing comma and its bracket are in the same piece.
 */
export function scanHoles(pieces: readonly string[], isJson: (hole: number) => boolean): HoleScan | null {
  if (pieces.some(piece => HOLES.test(piece))) return null
  let text = ''
  const ends = pieces.map((piece, index) => {
    text += piece
    const end = text.length
    if (index < pieces.length - 1) text += String.fromCharCode(isJson(index) ? JSON_HOLE : PRINTED_HOLE)
    return end
  })
  const holes: FoundHoles = { places: [], hasScalar: false }
  const { commas, error } = scanJson(text, holes)
  if (error !== null) return null
  const cut = pieces.map((piece, index) => {
    const start = (ends[index] ?? 0) - piece.length
    const inside = commas.filter(comma => comma >= start && comma < start + piece.length)
    return without(
      piece,
      inside.map(comma => comma - start),
    )
  })
  return { pieces: cut, ...holes }
}

/** A scan adds here what it finds out about holes. */
interface FoundHoles {
  readonly places: HolePlace[]
  hasScalar: boolean
}

/** Reads JSON that may have trailing commas. It may have holes, too, if `holes` is given. */
function scanJson(text: string, holes: FoundHoles | null = null): JsonScan {
  const commas: number[] = []
  const open: number[] = []
  let expectation: Expectation = 'value'
  let comma = -1
  let at = 0
  const afterValue = (): Expectation =>
    open.length === 0 ? 'end' : open.at(-1) === OPEN_LIST ? ', or ]' : ', or }'
  const failed = (place: number, expected?: string): JsonScan => ({
    commas,
    error: { at: place, expected: expected ?? EXPECTED[expectation] },
  })
  for (;;) {
    while (at < text.length && isBlank(text.charCodeAt(at))) at += 1
    if (at >= text.length) return expectation === 'end' ? { commas, error: null } : failed(at)
    const code = text.charCodeAt(at)
    if (closes(code, expectation)) {
      if (comma >= 0) commas.push(comma)
      comma = -1
      open.pop()
      expectation = afterValue()
      at += 1
    } else if (expectation === 'value' || expectation === 'value or ]') {
      comma = -1
      if (code === OPEN_LIST || code === OPEN_MAP) {
        open.push(code)
        expectation = code === OPEN_LIST ? 'value or ]' : 'name or }'
        at += 1
      } else if (holes !== null && code <= PRINTED_HOLE) {
        holes.places.push({ state: `${open.join(' ')} value`, inString: false })
        if (code === PRINTED_HOLE) holes.hasScalar = true
        at += 1
        expectation = afterValue()
      } else {
        const end = endOfScalar(text, at, () =>
          holes?.places.push({ state: `${open.join(' ')} string`, inString: true }),
        )
        if (holes !== null) holes.hasScalar = true
        if (typeof end !== 'number') return failed(end.at, end.expected === '' ? undefined : end.expected)
        at = end
        expectation = afterValue()
      }
    } else if (expectation === 'name or }') {
      comma = -1
      if (code !== QUOTE) return failed(at)
      const end = endOfString(text, at, () =>
        holes?.places.push({ state: `${open.join(' ')} name`, inString: true }),
      )
      if (typeof end !== 'number') return failed(end.at, end.expected)
      at = end
      expectation = ': '
    } else if (expectation === ': ') {
      if (code !== COLON) return failed(at)
      at += 1
      expectation = 'value'
    } else if (expectation !== 'end' && code === COMMA) {
      comma = at
      at += 1
      expectation = expectation === ', or ]' ? 'value or ]' : 'name or }'
    } else {
      return failed(at)
    }
  }
}

function closes(code: number, expectation: Expectation): boolean {
  if (code === CLOSE_LIST) return expectation === 'value or ]' || expectation === ', or ]'
  if (code === CLOSE_MAP) return expectation === 'name or }' || expectation === ', or }'
  return false
}

/** Returns the place behind the string, number or word that begins here. */
function endOfScalar(text: string, at: number, onHole: OnHole): number | JsonError {
  if (text.charCodeAt(at) === QUOTE) return endOfString(text, at, onHole)
  for (const pattern of [NUMBER, WORD]) {
    pattern.lastIndex = at
    if (!pattern.test(text)) continue
    const end = pattern.lastIndex
    if (/[\w.+-]/.test(text.charAt(end))) return { at: end, expected: 'the end of the value' }
    return end
  }
  return { at, expected: '' }
}

/** Notes a hole inside a string. Returns undefined if holes are not allowed. */
type OnHole = () => number | undefined

const ESCAPE = /\\(["\\/bfnrt]|u[0-9a-fA-F]{4})/y

function endOfString(text: string, begin: number, onHole: OnHole): number | JsonError {
  let at = begin + 1
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code === BACKSLASH) {
      ESCAPE.lastIndex = at
      if (!ESCAPE.test(text)) return { at, expected: 'an escape that JSON knows, or "\\\\" for a backslash' }
      at = ESCAPE.lastIndex
    } else if (code < 0x20 && (code !== PRINTED_HOLE || onHole() === undefined)) {
      return { at, expected: 'no control character inside a string (print the value with "| json")' }
    } else {
      at += 1
    }
  }
  return { at: begin, expected: 'a closing quote for the string that begins here' }
}

/** Characters of the text that an error shows before the place, and behind it. */
const EXCERPT = 30

/**
 * Returns a sentence with the place in the rendered text, the text that was found there, and the text that
 * was expected.
 */
function describeJsonError(text: string, { at, expected }: JsonError, subject: string): string {
  if (text.trim() === '') return `${subject} is empty, which is not JSON`
  const { line, column } = placeOf(text, at)
  const found =
    at >= text.length
      ? 'the end of the text'
      : printableCharacter(String.fromCodePoint(text.codePointAt(at) ?? 0))
  return `${subject} is not JSON at line ${line}, column ${column}: expected ${expected}, found ${found} in ${excerptAround(text, at)}`
}

/** Returns the text around a place on one line, with `⮞` at the place. */
function excerptAround(text: string, at: number): string {
  const from = Math.max(0, at - EXCERPT)
  const to = Math.min(text.length, at + EXCERPT)
  const before = `${from > 0 ? '…' : ''}${text.slice(from, at)}`
  const after = `${text.slice(at, to)}${to < text.length ? '…' : ''}`
  return printableLine(`${before}⮞${after}`)
}
