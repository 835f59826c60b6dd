/** The columns of a topic's rows: their types, and the SQL that reads them from staged entries. */
import { quoteText } from '../duckdb/types.ts'
import { type Carrier, JSON_VALUE, LONG, TEXT } from './carried-values.ts'
import { looseCarrier } from './loose-values.ts'

/** The place of a column in the values of entries of one shape. */
export interface FixedPlace {
  readonly shape: number
  readonly index: number
  readonly carrier: Carrier
}

/** The places of a column's values in entries. */
export interface ColumnPlaces {
  readonly name: string
  readonly fixed: readonly FixedPlace[]
  /** Its place among the values without a schema, and the kinds of these values. */
  readonly loose: { readonly index: number; readonly kinds: ReadonlySet<string> } | null
}

export interface TopicColumn {
  readonly name: string
  readonly carrier: Carrier
  /** Returns SQL for the text of an entry `e`, whose lists of texts are `e.v` and `e.l`. */
  readonly text: (e: string) => string
  /** Returns SQL for the value. It is null for a text that is not of its type. */
  readonly value: (e: string) => string
}

export function topicColumn({ name, fixed, loose }: ColumnPlaces): TopicColumn {
  const looseOwn = loose === null ? null : looseCarrier(loose.kinds)
  const hasLoose = looseOwn !== null && loose !== null && loose.kinds.size > 0
  const found = [...fixed.map(({ carrier }) => carrier), ...(hasLoose ? [looseOwn] : [])]
  const carrier =
    found.reduce<Carrier | null>((one, other) => (one === null ? other : merged(one, other)), null) ?? TEXT
  const looseText = loose === null ? 'NULL' : `e.l[${loose.index + 1}]`
  const cases = (of: (place: FixedPlace) => string, otherwise: string): string => {
    if (fixed.length === 0) return otherwise
    const whens = fixed.map(place => `WHEN ${place.shape} THEN ${of(place)}`)
    return `CASE e.shape ${whens.join(' ')} ELSE ${otherwise} END`
  }
  const looseValue =
    looseOwn === null || loose === null
      ? 'NULL'
      : valueOfLoose(looseText, loose.kinds, { own: looseOwn, to: carrier })
  const text = cases(({ index }) => `e.v[${index + 1}]`, looseText)
  const value = cases(place => converted(place.carrier, carrier, `e.v[${place.index + 1}]`), looseValue)
  const at = (sql: string) => (e: string) => sql.replaceAll(/\be\.(v|l|shape)\b/g, `${e}.$1`)
  return { name, carrier, text: at(text), value: at(`TRY(CAST(${value} AS ${carrier.sqlType}))`) }
}

function valueOfLoose(
  text: string,
  kinds: ReadonlySet<string>,
  { own, to }: { readonly own: Carrier; readonly to: Carrier },
): string {
  const bare = `substr(${text}, 2)`
  if (own !== JSON_VALUE) return converted(own, to, bare)
  const json = kinds.has('s')
    ? `CASE WHEN starts_with(${text}, 's') THEN CAST(to_json(${bare}) AS JSON) ELSE CAST(${bare} AS JSON) END`
    : `CAST(${bare} AS JSON)`
  return to === TEXT ? `CAST(${json} AS VARCHAR)` : json
}

/** Returns SQL for the value of a text of one carrier, as the type of another one. */
export function converted(from: Carrier, to: Carrier, text: string): string {
  const value = from.value(text)
  if (from.sqlType === to.sqlType) return value
  if (to === JSON_VALUE) return `CAST(to_json(${value}) AS JSON)`
  return `CAST(${value} AS ${to.sqlType})`
}

const WHOLE = new Set(['INTEGER', 'BIGINT'])
const NUMBERS = new Set(['integer', 'long', 'decimal', 'float', 'double'])

/** Returns the type that holds values of both. The types of a topic's records may change. */
export function merged(one: Carrier, other: Carrier): Carrier {
  if (one.sqlType === other.sqlType) return one
  if (WHOLE.has(one.sqlType) && WHOLE.has(other.sqlType)) return LONG
  if (one.type.kind === 'json' || other.type.kind === 'json') return JSON_VALUE
  return NUMBERS.has(one.type.kind) && NUMBERS.has(other.type.kind) ? JSON_VALUE : TEXT
}

/** Returns SQL for a JSON list of texts as a list. */
export function listOfTexts(json: string): string {
  return `CAST(CAST(${json} AS JSON) AS VARCHAR[])`
}

/** Returns SQL that is true if a JSON list of texts has this one. */
export function hasText(json: string, text: string): string {
  return `coalesce(list_contains(${listOfTexts(json)}, ${quoteText(text)}), false)`
}
