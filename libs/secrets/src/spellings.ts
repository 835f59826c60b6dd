/**
 * The spellings of a value in a text: as it is, or as encoders write it. Encoders differ in the characters
 * that they escape. So each character of a value may have any of its spellings: `a%2Fb`, `a\/b` and
 * `a&#x2F;b` are all `a/b`.
 */

/** The spellings of one character. */
export interface Spellings {
  readonly all: readonly string[]
  readonly byFirstUnit: ReadonlyMap<number, readonly string[]>
}

/** A value in one encoding: its characters in order, each in any of its spellings. */
export interface Form {
  readonly characters: readonly string[]
  readonly spell: (character: string) => Spellings
  /**
   * True for Base64. It may have line breaks. If a match does not start with a whole group, the characters
   * beside it contain bits of the value.
   */
  readonly base64: boolean
}

/** Shorter parts of Base64 and hex occur in any text. */
const MIN_ENCODED_LENGTH = 6

/** Returns the forms of a value, which is not empty. */
export function formsOf(value: string): readonly Form[] {
  const bytes = Buffer.from(value)
  const hex = bytes.toString('hex')
  const encoded = [...base64Parts(bytes)].filter(text => text.length >= MIN_ENCODED_LENGTH)
  return [
    { characters: [...value], spell: plainSpellings, base64: false },
    ...encoded.map(text => ({ characters: [...text], spell: base64Spellings, base64: true })),
    ...(hex.length < MIN_ENCODED_LENGTH
      ? []
      : [{ characters: [...hex], spell: hexSpellings, base64: false }]),
  ]
}

/**
 * Returns the part of a value's Base64 that does not depend on the bytes around it, for each of the three
 * places that a byte can have in a group. Also returns its Base64 without following bytes.
 */
function base64Parts(bytes: Buffer): ReadonlySet<string> {
  const parts = new Set<string>()
  for (const before of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    const first = Math.ceil((before * 8) / 6)
    const end = Math.floor(((before + bytes.length) * 8) / 6)
    parts.add(text.slice(first, end))
    if (before === 0) parts.add(text)
  }
  return parts
}

const NAMED: { readonly [character: string]: string } = {
  '"': 'quot',
  '&': 'amp',
  '<': 'lt',
  '>': 'gt',
  "'": 'apos',
}
const JSON_ESCAPES: { readonly [character: string]: string } = {
  '"': '"',
  "'": "'",
  '\\': '\\',
  '/': '/',
  '\n': 'n',
  '\r': 'r',
  '\t': 't',
  '\b': 'b',
  '\f': 'f',
}

/** The most characters whose spellings are cached, for each kind of form. */
const MAX_CACHED = 10_000

/** Caches the spellings of each character. */
function cached(spell: (character: string) => Iterable<string>): Form['spell'] {
  const known = new Map<string, Spellings>()
  return character => {
    const kept = known.get(character)
    if (kept !== undefined) return kept
    if (known.size >= MAX_CACHED) known.clear()
    const all = [...new Set(spell(character))]
    const made = { all, byFirstUnit: Map.groupBy(all, spelling => spelling.charCodeAt(0)) }
    known.set(character, made)
    return made
  }
}

/** Returns a character, its escapes in URLs, forms, JSON, HTML and logs, and escapes of these. */
const plainSpellings = cached(character => {
  const spellings = [character]
  for (const escape of [...percentEscapes(character), ...backslashEscapes(character)])
    // Only hex digits differ in case, since the letters of an escape are lower case.
    spellings.push(escape, escape.toLowerCase())
  for (const entity of entities(character)) spellings.push(`&${entity};`, `&amp;${entity};`)
  // JSON or HTML may be inside a URL.
  for (const escape of backslashEscapes(character).map(encodeURIComponent))
    spellings.push(escape, escape.toLowerCase())
  for (const entity of entities(character)) spellings.push(encodeURIComponent(`&${entity};`))
  if (character === ' ') spellings.push('+')
  // UTF-8 may have been read as Latin-1, and Latin-1 as UTF-8.
  if (character > '\x7f') spellings.push(Buffer.from(character).toString('latin1'), '\ufffd')
  return spellings
})

const base64Spellings = cached(character => {
  // Forms decode a plus as a space.
  if (character === '+') return [...plainSpellings('+').all, ...plainSpellings('-').all, ' ']
  if (character === '/') return [...plainSpellings('/').all, ...plainSpellings('_').all]
  return [character]
})

const hexSpellings = cached(digit => [digit, digit.toUpperCase()])

function percentEscapes(character: string): readonly string[] {
  const bytes = [Buffer.from(character)]
  if (character >= '\x80' && character <= '\xff') bytes.push(Buffer.from(character, 'latin1'))
  return bytes.flatMap(each => {
    const once = [...each].map(byte => `%${hexOf(byte, 2)}`).join('')
    return [once, once.replaceAll('%', '%25')]
  })
}

function backslashEscapes(character: string): readonly string[] {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
  const escapes = [units.map(unit => `\\u${hexOf(unit, 4)}`).join('')]
  const [first = 0] = units
  if (units.length === 1 && first < 256) escapes.push(`\\x${hexOf(first, 2)}`)
  const short = JSON_ESCAPES[character]
  if (short !== undefined) escapes.push(`\\${short}`)
  // JSON may be nested in JSON twice.
  const twice = escapes.map(inJson)
  return [...escapes, ...twice, ...twice.map(inJson)]
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

function entities(character: string): readonly string[] {
  const point = character.codePointAt(0) ?? 0
  const hex = hexOf(point, 2)
  const named = NAMED[character]
  return [
    `#${point}`,
    `#${String(point).padStart(3, '0')}`,
    `#x${hex}`,
    `#X${hex}`,
    `#x${hex.toLowerCase()}`,
    ...(named === undefined ? [] : [named]),
  ]
}

function hexOf(number: number, digits: number): string {
  return number.toString(16).toUpperCase().padStart(digits, '0')
}
