/**
 * The arguments that each filter takes. A call with too few or too many arguments, or with one that makes no
 * sense, is a mistake of the template: it would give nonsense for every row.
 */
import { TypeGuards } from 'liquidjs'
import { numberFromText } from '../values/exact-numbers.ts'
import { TemplateFault } from '../liquid/template-fault.ts'
import type { FilterArgument, FilterCall } from '../liquid/parse/template-syntax.ts'
import type { Frame } from '../liquid/frame.ts'

/** An argument with a name: `allow_false: true`. */
export class NamedArgument {
  readonly name: string
  readonly value: unknown
  constructor(name: string, value: unknown) {
    this.name = name
    this.value = value
  }
}

/** A pure function, except that it counts its work in the frame. Arguments come in the template's order. */
export type FilterFunction = (value: unknown, args: readonly unknown[], frame: Frame) => unknown

/** Only literals are checked against their kind, since a name may stand for anything. */
type Kind = 'any' | 'text' | 'number' | 'divisor' | 'whole' | 'list' | 'flag'

interface Signature {
  /** The arguments in their order. */
  readonly takes: readonly Kind[]
  /** This many of them are required. */
  readonly needs: number
  /** The names that an argument may have. */
  readonly named?: readonly string[]
}

function takes(...kinds: readonly Kind[]): Signature {
  return { takes: kinds, needs: kinds.length }
}

function mayTake(needs: number, ...kinds: readonly Kind[]): Signature {
  return { takes: kinds, needs }
}

/** Gives several filters one signature. */
function each(names: string, signature: Signature): readonly (readonly [string, Signature])[] {
  return names.split(' ').map(name => [name, signature] as const)
}

const SIGNATURES: ReadonlyMap<string, Signature> = new Map<string, Signature>([
  ...each('json jsonify inspect raw', takes()),
  ...each('upcase downcase capitalize strip lstrip rstrip squish normalize_whitespace', takes()),
  ...each('strip_newlines newline_to_br escape escape_once xml_escape strip_html', takes()),
  ...each('url_encode url_decode uri_escape cgi_escape base64_encode base64_decode sha256', takes()),
  ...each('base64_url_safe_encode base64_url_safe_decode', takes()),
  ...each('abs ceil floor to_integer first last size reverse pop shift', takes()),
  ...each('date_to_xmlschema date_to_rfc822', takes()),
  ...each('append prepend remove remove_first remove_last split hmac_sha256', takes('text')),
  ...each('replace replace_first', mayTake(1, 'text', 'text')),
  ['replace_last', takes('text', 'text')],
  ...each('truncate truncatewords', mayTake(0, 'whole', 'text')),
  ['slice', mayTake(1, 'whole', 'whole')],
  ['slugify', mayTake(0, 'text', 'flag')],
  ['number_of_words', mayTake(0, 'text')],
  ...each('plus minus times at_least at_most', takes('number')),
  ['modulo', takes('divisor')],
  ['divided_by', mayTake(1, 'divisor', 'flag')],
  ['round', mayTake(0, 'number')],
  ['join', mayTake(0, 'text')],
  ...each('sort sort_natural uniq compact sum', mayTake(0, 'text')),
  ...each('map group_by', takes('text')),
  ...each('where reject find find_index has', mayTake(1, 'text', 'any')),
  ...each('where_exp reject_exp find_exp find_index_exp has_exp group_by_exp', takes('text', 'text')),
  ['concat', takes('list')],
  ...each('push unshift', takes('any')),
  ['array_to_sentence_string', mayTake(0, 'text')],
  ['date', mayTake(1, 'text', 'any')],
  ...each('date_to_string date_to_long_string', mayTake(0, 'text', 'text')),
  ['default', { ...mayTake(0, 'any'), named: ['allow_false'] }],
])

/** @internal For the test that each filter has a signature. */
export const SIGNED_FILTERS: ReadonlySet<string> = new Set(SIGNATURES.keys())

/** Throws a `TemplateFault` for a call whose arguments its filter does not take. */
export function checkArguments(call: FilterCall): void {
  const signature = SIGNATURES.get(call.name)
  if (signature === undefined) return
  const given = call.args.filter(argument => !Array.isArray(argument))
  for (const argument of call.args)
    if (Array.isArray(argument) && !(signature.named ?? []).includes(String(argument[0])))
      throw wrong(call, `no argument named "${String(argument[0])}"`)
  const { length } = given
  if (length < signature.needs || length > signature.takes.length)
    throw wrong(call, countText(signature, length))
  for (const [index, argument] of given.entries()) {
    const wanted = mismatch(argument, signature.takes[index] ?? 'any')
    if (wanted !== null) throw wrong(call, `${wanted}, found ${textOf(argument)}`, beginOf(argument))
  }
}

function wrong(call: FilterCall, wanted: string, at: number | null = null): TemplateFault {
  return new TemplateFault(`the filter "${call.name}" takes ${wanted}`, at ?? call.begin)
}

function countText({ takes: { length }, needs }: Signature, found: number): string {
  if (length === 0) return 'no argument'
  const least = needs === length ? '' : needs === 0 ? 'at most ' : `${needs} or `
  return `${least}${length} ${length === 1 ? 'argument' : 'arguments'}, found ${found === 0 ? 'none' : found}`
}

/** Returns the words for the expected kind if a literal does not fit; null if the argument may fit. */
function mismatch(argument: FilterArgument, kind: Kind): string | null {
  if (Array.isArray(argument) || kind === 'any') return null
  const { isQuotedToken, isNumberToken, isLiteralToken, isRangeToken } = TypeGuards
  if (kind === 'list')
    return isQuotedToken(argument) || isNumberToken(argument) || isLiteralToken(argument) ? 'a list' : null
  if (kind === 'flag') return isQuotedToken(argument) || isNumberToken(argument) ? 'true or false' : null
  if (kind === 'text') return isRangeToken(argument) ? 'text' : null
  if (isLiteralToken(argument) || isRangeToken(argument)) return 'a number'
  if (!isQuotedToken(argument) && !isNumberToken(argument)) return null
  return wrongNumber(isQuotedToken(argument) ? argument.content : argument.getText(), kind)
}

function wrongNumber(text: string, kind: Kind): string | null {
  const number = numberFromText(text)
  if (number === null) return kind === 'whole' ? 'a whole number' : 'a number'
  if (kind === 'whole' && !/^\s*[+-]?\d+\s*$/.test(text)) return 'a whole number'
  if (kind === 'divisor' && Number(number) === 0) return 'a number other than 0'
  return null
}

function textOf(argument: FilterArgument): string {
  return Array.isArray(argument) ? '' : argument.getText()
}

function beginOf(argument: FilterArgument): number | null {
  return Array.isArray(argument) ? null : argument.begin
}
