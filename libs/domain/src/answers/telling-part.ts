/**
 * The part of an answer that tells a person what went wrong. APIs put it below fields of well-known names:
 * RFC 9457 `detail`, OAuth's `error_description`, SOAP's `faultstring`, and `message` nearly everywhere.
 */

/** Fields whose text is a sentence, and those that serve where no answer has such a field. */
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
/** Beside a sentence: what it is about. */
const SUBJECTS = ['field', 'param', 'property', 'pointer']
const TELLS_OF_ERRORS = /err|fail|fault|reject|problem|invalid/i
const MOST_NODES = 10_000
const MOST_MARKUP = 16_384
const MOST_SENTENCES = 3

interface Said {
  readonly text: string
  /** True below a field that holds errors: an answer to a batch has messages of rows that went well, too. */
  readonly ofError: boolean
}

/**
 * Up to three sentences, the outermost first, or null for an answer without any. `json` is the parsed body,
 * or undefined if the body is no JSON; `text` is the body as it was received.
 */
export function tellingPart({
  json,
  text,
}: {
  readonly json: unknown
  readonly text: string
}): string | null {
  if (json === undefined) return fromMarkup(text)
  const said = [SENTENCES, WORDS].map(names => saidIn(json, names)).find(found => found.length > 0) ?? []
  const ofErrors = said.filter(({ ofError }) => ofError)
  const texts = [...new Set((ofErrors.length > 0 ? ofErrors : said).map(one => one.text))]
  if (texts.length === 0) return null
  const more = texts.length - MOST_SENTENCES
  return `${texts.slice(0, MOST_SENTENCES).join('; ')}${more > 0 ? `; and ${more} more` : ''}`
}

/** Level by level, so that what stands further out comes first. */
function saidIn(json: unknown, names: readonly string[]): Said[] {
  const said: Said[] = []
  const level: { readonly value: unknown; readonly ofError: boolean }[] = [{ value: json, ofError: false }]
  for (let next = 0; next < level.length && next < MOST_NODES; next++) {
    const { value, ofError } = level[next] ?? { value: null, ofError: false }
    if (typeof value !== 'object' || value === null) continue
    const entries = Object.entries(value)
    for (const [name, field] of entries) {
      const isOfError = ofError || (!Array.isArray(value) && TELLS_OF_ERRORS.test(name))
      const texts = names.includes(name.toLowerCase()) ? textsOf(field) : []
      // The message of the whole answer counts, whatever stands beside it.
      for (const text of texts)
        said.push({ text: `${subjectOf(entries)}${text}`, ofError: isOfError || next === 0 })
      if (level.length < MOST_NODES) level.push({ value: field, ofError: isOfError })
    }
  }
  return said
}

function textsOf(field: unknown): string[] {
  const values: readonly unknown[] = Array.isArray(field) ? field : [field]
  return values.flatMap(value => (typeof value === 'string' && value.trim() !== '' ? [plain(value)] : []))
}

function subjectOf(entries: readonly (readonly [string, unknown])[]): string {
  const subject = entries.find(
    ([name, value]) => SUBJECTS.includes(name.toLowerCase()) && typeof value === 'string',
  )
  return subject === undefined || subject[1] === '' ? '' : `${plain(String(subject[1]))}: `
}

/** XML with a fault or a message, and pages that a proxy writes, which have a title. */
function fromMarkup(whole: string): string | null {
  const text = whole.slice(0, MOST_MARKUP).trimStart()
  if (!text.startsWith('<')) return null
  for (const name of ['faultstring', 'Reason', 'message', 'error', 'title']) {
    const element = new RegExp(`<(?:\\w+:)?${name}\\b[^>]*>([\\s\\S]{1,2000}?)</(?:\\w+:)?${name}>`, 'i')
    const inside = plain((element.exec(text)?.[1] ?? '').replaceAll(/<[^>]*>/g, ' '))
    if (inside !== '') return inside
  }
  return null
}

function plain(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}
