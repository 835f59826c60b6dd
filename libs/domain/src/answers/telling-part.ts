/**
 * Finds the part of an answer that says to a person what went wrong. APIs put it below fields of well-known
 * names: RFC 9457 `detail`, OAuth's `error_description`, SOAP's `faultstring`, and `message` nearly
 * everywhere.
 */

/** Fields whose text is a sentence. The fields in `WORDS` serve if an answer has none of them. */
const SENTENCES = [
  'message',
  'detail',
  'error_description',
  'error_message',
  'errormessage',
  'faultstring',
  'msg',
]
const WORDS = ['error', 'errors', 'reason', 'title', 'description', 'code']
/** Fields beside a sentence that name its subject. */
const SUBJECTS = ['field', 'param', 'property', 'pointer']
const TELLS_OF_ERRORS = /err|fail|fault|reject|problem|invalid/i
/** The most fields to read and texts to keep, so that a long answer takes little time. */
const MAX_FIELDS = 20_000
const MAX_SAID = 1_000
/** Texts are read up to this length, in UTF-16 units. They are shown shorter than that. */
const MAX_TEXT = 4_096
const MAX_SUBJECT = 200
const MAX_MARKUP = 8_192
const MAX_SENTENCES = 3

interface Said {
  readonly text: string
  /** True below a field that holds errors: an answer to a batch has messages of rows that went well, too. */
  readonly ofError: boolean
}

/**
 * Returns up to three sentences, the outermost first; null for an answer without any. `json` is the parsed
 * body, or undefined if the body is no JSON; `text` is the body as it was received.
 */
export function tellingPart({
  json,
  text,
}: {
  readonly json: unknown
  readonly text: string
}): string | null {
  if (json === undefined) return fromMarkup(text)
  const { sentences, words } = saidIn(json)
  const said = sentences.length > 0 ? sentences : words
  const ofErrors = said.filter(({ ofError }) => ofError)
  const texts = [...new Set((ofErrors.length > 0 ? ofErrors : said).map(one => one.text))]
  if (texts.length === 0) return null
  const more = said.length >= MAX_SAID ? 'more' : `${texts.length - MAX_SENTENCES} more`
  return `${texts.slice(0, MAX_SENTENCES).join('; ')}${texts.length > MAX_SENTENCES ? `; and ${more}` : ''}`
}

interface Open {
  readonly value: unknown
  readonly ofError: boolean
}

/** Collects texts level by level, so that the outermost come first. */
function saidIn(json: unknown): { readonly sentences: readonly Said[]; readonly words: readonly Said[] } {
  const sentences: Said[] = []
  const words: Said[] = []
  const level: Open[] = [{ value: json, ofError: false }]
  let fields = 0
  for (let next = 0; next < level.length; next += 1) {
    const { value, ofError } = level[next] ?? { value: null, ofError: false }
    if (typeof value !== 'object' || value === null) continue
    let subject: string | null = null
    for (const [name, field] of Array.isArray(value) ? value.entries() : fieldsOf(value)) {
      fields += 1
      if (fields > MAX_FIELDS) return { sentences, words }
      const isOfError = ofError || (typeof name === 'string' && TELLS_OF_ERRORS.test(name))
      const said = typeof name === 'string' ? saidBy(name.toLowerCase(), { sentences, words }) : null
      for (const text of said === null ? [] : textsOf(field, MAX_SAID - said.length)) {
        subject ??= subjectOf(value)
        // A message at the top is about the whole answer, so it counts in any case.
        said?.push({ text: subject + text, ofError: isOfError || next === 0 })
      }
      if (typeof field === 'object' && field !== null) level.push({ value: field, ofError: isOfError })
    }
  }
  return { sentences, words }
}

function saidBy(name: string, { sentences, words }: { sentences: Said[]; words: Said[] }): Said[] | null {
  if (SENTENCES.includes(name)) return sentences
  return WORDS.includes(name) ? words : null
}

function* fieldsOf(value: object): Generator<readonly [string, unknown]> {
  for (const name in value) yield [name, Reflect.get(value, name)]
}

function textsOf(field: unknown, most: number): string[] {
  const texts: string[] = []
  for (const value of Array.isArray(field) ? field.slice(0, most) : [field]) {
    const text = typeof value === 'string' ? plain(value.slice(0, MAX_TEXT)) : ''
    if (text !== '') texts.push(text)
  }
  return texts
}

function subjectOf(value: object): string {
  let looked = 0
  for (const [name, field] of fieldsOf(value)) {
    looked += 1
    if (looked > MAX_SUBJECT) break
    if (typeof field !== 'string' || !SUBJECTS.includes(name.toLowerCase())) continue
    return field === '' ? '' : `${plain(field.slice(0, MAX_SUBJECT))}: `
  }
  return ''
}

/** Reads XML with a fault or a message, and the title of pages that proxies write. */
function fromMarkup(whole: string): string | null {
  const text = whole.slice(0, MAX_MARKUP).trimStart()
  if (!text.startsWith('<')) return null
  for (const name of ['faultstring', 'Reason', 'message', 'error', 'title']) {
    const element = new RegExp(
      `<(?:\\w+:)?${name}\\b[^>]{0,500}>([\\s\\S]{1,2000}?)</(?:\\w+:)?${name}>`,
      'i',
    )
    const inside = plain((element.exec(text)?.[1] ?? '').replaceAll(MARKUP, asWritten))
    if (inside !== '') return inside
  }
  return null
}

/** A CDATA section, another tag, or a reference to a character (XML 1.0 §4.1, §4.6). */
const MARKUP = /<!\[CDATA\[([\s\S]*?)\]\]>|<[^>]*>|&(?:#(\d{1,7})|#x([\da-f]{1,6})|(amp|lt|gt|quot|apos));/gi
const NAMED: { readonly [name: string]: string } = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** Returns the text that a piece of markup stands for. */
function asWritten(markup: string, ...[cdata, decimal, hex, name]: readonly (string | undefined)[]): string {
  if (cdata !== undefined) return cdata
  if (name !== undefined) return NAMED[name.toLowerCase()] ?? markup
  if (decimal === undefined && hex === undefined) return ' '
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
  return code > 0x10ffff ? markup : String.fromCodePoint(code)
}

function plain(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}
