/**
 * Makes paths of requests. The text of a value cannot leave its segment, or its value in the query. The path
 * cannot leave the base URL to which it is appended.
 */
import { DOT_SEGMENT, strayPercent } from '@sluice/contracts/specs/http-texts'
import type { Escaping } from '../liquid/compile-template.ts'
import type { LiteralFault } from './literal-texts.ts'
import { shortened } from '../values/printable.ts'
import { TemplateFault } from '../liquid/template-fault.ts'

export const PATH_ESCAPING: Escaping = {
  escape: text => encodeText(needed(text)),
  again: needed,
  raw: needed,
}

function needed(text: string): string {
  if (text !== '') return text
  throw new TemplateFault(
    'a value in the path is null or empty; give it a "default" if the request can do without',
  )
}

/** Percent-encodes a text as UTF-8. */
function encodeText(text: string): string {
  if (!text.isWellFormed())
    throw new TemplateFault('a value in the path has half a character (a lone surrogate)')
  // An apostrophe is encoded too: URLs change it in a query.
  return encodeURIComponent(text).replaceAll("'", '%27')
}

const CONTROL = /[\u0000-\u001f\u007f]/
/** Every character that has to be encoded in a URL. A `%` counts as part of an encoding. */
const TO_ENCODE = /[^\u0021-\u007e]+|["<>\\^`{|}]+/g

const NO_FRAGMENT = 'the path has a "#", and what follows it is never sent; write %23'
const NO_PERCENT = 'the path has a "%" that begins no encoded character, such as %20; write %25 for a "%"'

/** Other tools write the place of a value as `{name}`. */
const BRACES = /(?<!\{)\{([A-Za-z_][\w.-]*)\}(?!\})/

function bracesFault(piece: string): LiteralFault | null {
  const found = BRACES.exec(piece)
  if (found === null) return null
  const [all, name = ''] = found
  const message = `the path has "${all}", which stands for no value; write {{ ${name} }} for a column, or %7B and %7D for the brackets`
  return { index: found.index, message }
}

/**
 * Finds a fault of a piece of a path's template that no value around it can mend. `before` is the text before
 * it. A `%` at the end is no fault, since its digits may come from the value behind it.
 */
export function pathLiteralFault(piece: string, before: string): LiteralFault | null {
  const hash = piece.indexOf('#')
  if (hash >= 0) return { index: hash, message: NO_FRAGMENT }
  const percent = strayPercent(piece)
  if (percent >= 0 && !/^%[0-9A-Fa-f]?$/.test(piece.slice(percent)))
    return { index: percent, message: NO_PERCENT }
  const braces = bracesFault(piece)
  if (braces !== null) return braces
  const query = piece.indexOf('?')
  const path = before.includes('?') ? '' : query < 0 ? piece : piece.slice(0, query)
  const dots = /[/\\](\.|%2e){1,2}[/\\]/i.exec(path)
  if (dots === null) return null
  return {
    index: dots.index,
    message: `the path has a "${dots[0].slice(1, -1)}" segment, which would lead elsewhere`,
  }
}

/**
 * Turns the rendered text into the path that is appended to the base URL. `written` is the template's own
 * text; `//` is allowed only if it is part of that text. Throws a `TemplateFault` for a path that a URL would
 * change.
 */
export function finishPath(rendered: string, written: string): string {
  const trimmed = rendered.trim()
  if (CONTROL.test(trimmed)) throw new TemplateFault('the path has a line break or another control character')
  if (!trimmed.isWellFormed()) throw new TemplateFault('the path has half a character (a lone surrogate)')
  if (trimmed.includes('#')) throw new TemplateFault(NO_FRAGMENT)
  if (strayPercent(trimmed) >= 0) throw new TemplateFault(NO_PERCENT)
  const braces = rendered === written ? bracesFault(rendered) : null
  if (braces !== null) throw new TemplateFault(braces.message, braces.index)
  const path = trimmed === '' || trimmed.startsWith('/') || trimmed.startsWith('?') ? trimmed : `/${trimmed}`
  const encoded = path.replaceAll(TO_ENCODE, text => encodeURIComponent(text))
  // An error must not carry the row's values whole.
  const shown = shortened(encoded)
  const queryAt = path.indexOf('?')
  const segments = (queryAt < 0 ? path : path.slice(0, queryAt)).split(/[/\\]/)
  if (segments.some(segment => DOT_SEGMENT.test(segment)))
    throw new TemplateFault(`the path ${shown} has a "." or ".." segment, which would lead elsewhere`)
  if (path.startsWith('//') || path.startsWith('/\\'))
    throw new TemplateFault(`the path ${shown} begins with "//", which would name another host`)
  const empty = segments.slice(1, -1).some(segment => segment === '')
  if (empty && !written.includes('//'))
    throw new TemplateFault(`the path ${shown} has an empty segment ("//")`)
  return encoded
}
