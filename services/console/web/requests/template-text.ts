/** The template of a trigger as text, and the names in it that an answer speaks of. */
import { stringify } from 'yaml'

const TRIGGERS: ReadonlySet<string> = new Set(['added', 'changed', 'removed'])
/** Words that most answers have, whatever they complain of. */
const COMMON: ReadonlySet<string> = new Set(
  'error errors message messages status code detail details title http and the not with for'.split(' '),
)
const MAX_CHARACTERS = 20_000
const NAME = /[\p{L}_][\p{L}\p{N}_-]+/gu

/** What a sync sends for a trigger, in YAML. Null if it sends nothing. */
export function templateOf(spec: { readonly [field: string]: unknown }, trigger: string): string | null {
  const triggers = fieldsOf(spec['triggers'])
  const said = triggers[trigger]
  // A trigger may send the same as another one.
  const value = typeof said === 'string' && TRIGGERS.has(said) ? triggers[said] : said
  if (typeof value !== 'object' || value === null) return null
  return stringify(value, { lineWidth: 0, flowCollectionPadding: true }).trimEnd()
}

/** The names that an error and an answer speak of, in lower case. */
export function namesSaid(text: string): ReadonlySet<string> {
  const words = text.slice(0, MAX_CHARACTERS).toLowerCase().match(NAME) ?? []
  return new Set(words.filter(word => !COMMON.has(word)))
}

/** What a name stands in: the key of a JSON or YAML map, or a column of the row. */
const PLACES = /"(?<key>[^"\n]+)"(?=\s*:)|(?<=^\s*)(?<field>[\w-]+)(?=:\s)|(?<=row\.)(?<column>\w+)/gu
/** Of the template itself. */
const OWN: ReadonlySet<string> = new Set('method path headers body json xml form text fields'.split(' '))

/** A line in parts, of which every second is a name that is spoken of. */
export function splitAtNames(line: string, names: ReadonlySet<string>): readonly string[] {
  const parts: string[] = []
  let from = 0
  for (const match of line.matchAll(PLACES)) {
    const { key, field, column } = match.groups ?? {}
    const name = key ?? field ?? column ?? ''
    if (!names.has(name.toLowerCase()) || (field !== undefined && OWN.has(field))) continue
    parts.push(line.slice(from, match.index), match[0])
    from = match.index + match[0].length
  }
  return [...parts, line.slice(from)]
}

function fieldsOf(value: unknown): { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}
