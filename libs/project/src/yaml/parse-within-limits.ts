/**
 * Parses YAML as far as a person could have written it. The parser's work grows with each piece of a file,
 * and with the square of its aliases. It goes one level down its stack for each level of the file.
 */
import type { LineCounter } from 'yaml'
import {
  Composer,
  Lexer,
  Parser,
  type CST,
  type DocumentOptions,
  type ParseOptions,
  type SchemaOptions,
} from 'yaml'
import type { YamlDocument } from './yaml-file.ts'

/** Names, values, marks, comments, indentations and ends of lines. */
const MAX_PIECES = 200_000
const MAX_DEPTH = 64
const MAX_DOCUMENTS = 2_000
const MAX_ALIASES = 1_000

export type ParsedWithinLimits =
  { readonly documents: readonly YamlDocument[] } | { readonly problem: string; readonly line: number }

type Options = ParseOptions & DocumentOptions & SchemaOptions & { readonly lineCounter: LineCounter }

/** The documents of a text, or the limit that it exceeds and where. */
export function parseWithinLimits(text: string, options: Options): ParsedWithinLimits {
  const tokens: CST.Token[] = []
  const parser = new Parser(options.lineCounter.addNewLine)
  const composer = new Composer<YamlDocument['contents'] & {}, true>(options)
  // As the parser does itself when it has the text whole.
  options.lineCounter.addNewLine(0)
  let pieces = 0
  let documents = 0
  let aliases = 0
  let offset = 0
  for (const lexeme of new Lexer().lex(text)) {
    pieces += 1
    offset += lexeme.length
    if (lexeme.startsWith('*')) aliases += 1
    for (const token of parser.next(lexeme)) {
      tokens.push(token)
      if (token.type === 'document') documents += 1
    }
    const exceeded =
      exceeds(pieces, MAX_PIECES, 'names, values, marks and comments') ??
      exceeds(parser.stack.length, 2 * MAX_DEPTH, 'levels (maps and lists in each other)', MAX_DEPTH) ??
      exceeds(documents, MAX_DOCUMENTS, 'documents') ??
      exceeds(aliases, MAX_ALIASES, 'aliases (`*name`)')
    if (exceeded !== null) return { problem: exceeded, line: options.lineCounter.linePos(offset).line }
  }
  tokens.push(...parser.end())
  return { documents: [...composer.compose(tokens, true, text.length)] }
}

/** `shown` is the limit in a person's words; the parser has two entries for most levels. */
function exceeds(found: number, limit: number, what: string, shown = limit): string | null {
  return found <= limit ? null : `the YAML has more than ${shown} ${what}; no file of a project needs so many`
}
