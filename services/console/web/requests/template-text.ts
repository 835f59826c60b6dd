/** The template of a trigger as text, and the names in it that an answer mentions. */
import { stringify } from 'yaml'
import { fieldsOf } from '../ui/fields-of.ts'

const TRIGGERS: ReadonlySet<string> = new Set(['added', 'changed', 'removed'])
/** Words that most answers contain, whatever the error. */
const COMMON: ReadonlySet<string> = new Set(
  'error errors message messages status code detail details title http and the not with for'.split(' '),
)
const MAX_CHARACTERS = 20_000
const NAME = /[\p{L}_][\p{L}\p{N}_-]+/gu

/** The trigger's part of a sync, in YAML. Null if the sync has no such trigger. */
export function templateOf(spec: { readonly [field: string]: unknown }, trigger: string): string | null {
  const triggers = fieldsOf(spec['triggers'])
  const said = triggers[trigger]
  // A trigger may refer to another one by name.
  const value = typeof said === 'string' && TRIGGERS.has(said) ? triggers[said] : said
  if (typeof value !== 'object' || value === null) return null
  return stringify(value, { lineWidth: 0, flowCollectionPadding: true }).trimEnd()
}

/** The names that an error and an answer mention, in lower case. */
export function namesSaid(text: string): ReadonlySet<string> {
  const words = text.slice(0, MAX_CHARACTERS).toLowerCase().match(NAME) ?? []
  return new Set(words.filter(word => !COMMON.has(word)))
}

/** Matches names: the keys of JSON and YAML maps, and columns of the row. */
const PLACES = /"(?<key>[^"\n]+)"(?=\s*:)|(?<=^\s*)(?<field>[\w-]+)(?=:\s)|(?<=row\.)(?<column>\w+)/gu
/** The fields of a trigger itself, which no answer means. */
const OWN: ReadonlySet<string> = new Set(
  'method path headers body json xml form text fields jsonColumn wrap whenNull'.split(' '),
)

/** Splits a line. Every second part is a name that the answer mentions. */
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
