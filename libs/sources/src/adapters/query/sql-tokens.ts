/**
 * Splits SQL into tokens, just enough to tell the semicolon at the end of a statement from one in a text, a
 * name or a comment. If quotes or a comment are never closed, each character behind them is a token.
 *
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html (DuckDB's is the same),
 * https://dev.mysql.com/doc/refman/8.4/en/language-structure.html and
 * https://www.sqlite.org/lang_keywords.html
 */

/** `standard` is the syntax of PostgreSQL and DuckDB. */
export type SqlSyntax = 'standard' | 'mysql' | 'sqlite'

/** These find all tokens but `/*` comments, which may be nested in standard SQL. */
const TOKENS: { readonly [syntax in SqlSyntax]: RegExp } = {
  standard:
    /[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?\$\1\$|--[^\n]*|\s+|[\w\u0080-\uffff][\w$\u0080-\uffff]*|[\s\S]/y,
  sqlite:
    /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\s+|[\w\u0080-\uffff][\w$\u0080-\uffff]*|[\s\S]/y,
  // In MySQL, two dashes begin a comment only before a blank.
  mysql:
    /'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"|`(?:[^`]|``)*`|--(?:[^\S\n][^\n]*|(?=\n|$))|#[^\n]*|\s+|[\w\u0080-\uffff][\w$\u0080-\uffff]*|[\s\S]/y,
}

interface Token {
  readonly at: number
  /** True for blanks and comments. */
  readonly isBlank: boolean
  readonly text: string
}

function* tokensOf(sql: string, syntax: SqlSyntax): Generator<Token> {
  const token = new RegExp(TOKENS[syntax])
  let at = 0
  let isOpen = false
  while (at < sql.length) {
    token.lastIndex = at
    const begins: boolean = !isOpen && sql.startsWith('/*', at)
    const comment: number | null = begins ? endOfComment(sql, at, syntax) : null
    // If one comment has no end, later ones have none either, or the database refuses the text anyway.
    isOpen ||= begins && comment === null
    const text = comment === null ? (token.exec(sql)?.[0] ?? '') : sql.slice(at, comment)
    const isLineComment = text.startsWith('--') || (syntax === 'mysql' && text.startsWith('#'))
    yield { at, text, isBlank: comment !== null || isLineComment || /^\s/.test(text) }
    at += text.length
  }
}

/** Returns the end of the comment that begins at `start`; null if it has no end. */
function endOfComment(sql: string, start: number, syntax: SqlSyntax): number | null {
  const marks = /\/\*|\*\//g
  marks.lastIndex = start
  let depth = 0
  for (let mark = marks.exec(sql); mark !== null; mark = marks.exec(sql)) {
    if (mark[0] === '/*') depth = syntax === 'standard' ? depth + 1 : 1
    else depth -= 1
    if (depth === 0) return marks.lastIndex
  }
  return null
}

/** Cuts off blanks and comments at the beginning. */
export function withoutLeadingComments(sql: string, syntax: SqlSyntax): string {
  for (const { at, isBlank } of tokensOf(sql, syntax)) if (!isBlank) return sql.slice(at)
  return ''
}

/**
 * Returns the end of the first statement, without its semicolon. `isOnly` is false if another one follows.
 */
export function firstStatement(
  sql: string,
  syntax: SqlSyntax,
): { readonly end: number; readonly isOnly: boolean } {
  let end: number | null = null
  for (const { at, text, isBlank } of tokensOf(sql, syntax)) {
    if (text === ';') end ??= at
    else if (end !== null && !isBlank) return { end, isOnly: false }
  }
  return { end: end ?? sql.length, isOnly: true }
}
