/**
 * Translates DuckDB's errors into SluiceErrors. They have DuckDB's own message, and the place in the model's
 * SQL if DuckDB gives one.
 */
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { basename, dirname, relative, resolve } from 'node:path'
import type { ResolvedQuery } from './file-references.ts'
import { type ErrorDetail, messageOf, SluiceError } from '@sluice/contracts/errors'
import { saysDiskFailed } from '@sluice/domain/disk-failure'
import { nearestName } from '@sluice/domain/nearest-name'
import { modelCalled, modelFirst } from '../query/model-columns.ts'

/** The place of an error in a SQL text. Line and column begin at 1. */
export interface SqlPlace {
  readonly line: number
  readonly column: number
}

/**
 * Reads the place from DuckDB's `LINE 2: …` with the caret below it. DuckDB shows only a part of a long line,
 * marked by `...`, and this searches the line for the part. `linesBefore` is the number of Sluice's lines
 * before the SQL in the statement.
 */
function placeInSql(message: string, sql: string, linesBefore = 0): SqlPlace | null {
  const shown = /^(LINE (\d+): )(.*)\n( *)\^/m.exec(message)
  if (shown === null) return null
  const [, label = '', number = '', excerpt = '', indent = ''] = shown
  const line = Number.parseInt(number, 10) - linesBefore
  const inExcerpt = indent.length - label.length
  if (inExcerpt < 0 || line < 1) return null
  const cutLeft = excerpt.startsWith('...') ? 3 : 0
  if (cutLeft === 0) return { line, column: inExcerpt + 1 }
  const part = excerpt.slice(cutLeft).replace(/\.\.\.$/, '')
  const start = (sql.split('\n')[line - 1] ?? '').indexOf(part)
  return start < 0 ? null : { line, column: start + inExcerpt - cutLeft + 1 }
}

/** Returns DuckDB's message without its excerpt of the SQL, and without advice such as loading extensions. */
export function duckdbMessage(error: unknown): string {
  const text = messageOf(error)
  const own = text.split(/\n+LINE \d+: /)[0] ?? text
  return own
    .replace(/^Failed to (extract statements|execute prepared statement|prepare): /, '')
    .replace(/\n+Please try installing and loading[\s\S]*$/, '')
    .replace(/\n+Alternatively, consider enabling[\s\S]*$/, '')
    .trim()
}

/** Returns a `disk` error if rows could not be written; null for any other error. */
export function diskErrorOf(
  error: unknown,
  { model, file }: { readonly model: string; readonly file: string },
): SluiceError | null {
  const text = duckdbMessage(error)
  if (!saysDiskFailed(text)) return null
  const said = text.split('\n')[0] ?? text
  const message = `The rows of ${modelCalled(model)} cannot be written to ${file}: ${said}. Make room on that disk; nothing was lost.`
  return new SluiceError('disk', message, { cause: error, retryable: true })
}

export interface QueryFailure {
  readonly error: unknown
  /** The SQL as it ran. */
  readonly query: ResolvedQuery
  /** The SQL as the user wrote it. */
  readonly written: string
  /** The number of Sluice's lines before the SQL in the failing statement. */
  readonly linesBefore: number
  readonly model: string
  /** True if Sluice wrote the SQL, for a whole table. */
  readonly isTable: boolean
  /** The folder of relative file names. */
  readonly folder: string
  /** True if the source is a .duckdb file, which reads no other file. */
  readonly isDatabase: boolean
}

/**
 * Translates an error of DuckDB: `missing-file` for a file that does not exist, and `query` for any other.
 * For an empty file, DuckDB only says that its columns do not exist.
 */
export function queryError(failure: QueryFailure): SluiceError {
  const text = messageOf(failure.error)
  const missing = /No files found that match the pattern "(.*)"|Cannot open file "(.*)": No such file/.exec(
    text,
  )
  if (missing !== null) return missingFile(resolve(failure.folder, missing[1] ?? missing[2] ?? ''), failure)
  const closed = /Permission Error: Cannot access (?:file|directory) "(.*?)"/.exec(text)?.[1]
  if (closed !== undefined) return outsideOfSource(closed, failure)
  if (saysOutOfMemory(failure.error)) return tooLittleMemory(failure, text)
  if (/^Binder Error/.test(text)) {
    const empty = emptyFile(failure.query, failure)
    if (empty !== null) return empty
  }
  if (/is not (utf-8|utf-16|latin-1) encoded/i.test(text)) return otherEncoding(failure, text)
  const { isTable } = failure
  const place = isTable
    ? null
    : placeAsWritten(placeInSql(text, failure.query.sql, failure.linesBefore), failure)
  const message = withAdvice(duckdbMessage(failure.error))
  const where = place === null ? '' : ` (line ${place.line}, column ${place.column} of its SQL)`
  const detail: ErrorDetail = { field: isTable ? 'table' : 'sql', message, ...(place ?? {}) }
  return new SluiceError('query', `The query of ${modelCalled(failure.model)} fails${where}: ${message}`, {
    cause: failure.error,
    details: [detail],
  })
}

/** Says what to do about a missing table. DuckDB may propose a table of its own, which nobody means. */
function withAdvice(message: string): string {
  if (!/^Catalog Error: Table with name .* does not exist!/s.test(message)) return message
  const own = message.replace(
    /\nDid you mean "(?:pg_|duckdb_|sqlite_|pragma_|information_schema)[^"]*"\?$/,
    '',
  )
  return `${own} Check its name, and its schema.`
}

export function saysOutOfMemory(error: unknown): boolean {
  return (
    error instanceof Error && /^Out of Memory Error|std::bad_alloc|failed to pin block/.test(error.message)
  )
}

/** The encoding is guessed from at most this many bytes at the beginning of a file. */
const MAX_GUESSED_BYTES = 1_000_000

/** The error for a CSV file that is not UTF-8. DuckDB reads it only if the query names its encoding. */
function otherEncoding({ model, error, query, folder }: QueryFailure, text: string): SluiceError {
  const file = /^ *file = (.+)$/m.exec(text)?.[1] ?? query.files[0] ?? ''
  const name = relative(folder, file)
  const read = (encoding: string): string => `read it as \`read_csv('${name}', encoding = '${encoding}')\``
  const found = /CSV Error on Line: (\d+)/.exec(text)?.[1]
  const line = found === undefined ? '' : ` in line ${found}`
  const bytes = firstBytes(file)
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
  const isWindows = bytes.some(byte => byte >= 0x80 && byte < 0xa0)
  const advice = isUtf16
    ? read('utf-16')
    : isWindows
      ? `save it as "CSV UTF-8", or convert it: \`iconv -f CP1252 -t UTF-8 '${name}' > utf-8.csv\``
      : read('latin-1')
  const message = `${modelFirst(model)} reads the file ${file}, which is not UTF-8${line}, as a spreadsheet may save it: ${advice}. Nothing is taken as removed.`
  return new SluiceError('query', message, { cause: error, details: [{ field: 'sql', message }] })
}

function firstBytes(file: string): Uint8Array {
  const bytes = new Uint8Array(MAX_GUESSED_BYTES)
  try {
    const opened = openSync(file, 'r')
    try {
      return bytes.subarray(0, readSync(opened, bytes))
    } finally {
      closeSync(opened)
    }
  } catch {
    return new Uint8Array()
  }
}

/** The error for a file outside of the source. It does not reveal if the file exists. */
function outsideOfSource(path: string, { model, error, folder, isDatabase }: QueryFailure): SluiceError {
  const allowed = isDatabase
    ? 'A source whose path is a .duckdb file reads this file alone; make a source of the other folder.'
    : `It reads only files below its folder ${folder}, and follows no link out of it; copy the file there, or make a source of its folder.`
  const message = `The query of ${modelCalled(model)} reads ${path}, which does not belong to its source. ${allowed}`
  return new SluiceError('query', message, { cause: error, details: [{ field: 'sql', message }] })
}

/** Replaces DuckDB's advice, since it names settings that users of Sluice cannot change. */
function tooLittleMemory({ model, error }: QueryFailure, text: string): SluiceError {
  const said = text.split('\n')[0] ?? text
  if (text.includes('max_temp_directory_size')) {
    const message = `The query of ${modelCalled(model)} writes more to temporary files than SLUICE_SOURCE_MAX_SPILL allows: let it sort and join less at once. ${said}`
    return new SluiceError('query', message, { cause: error, details: [{ field: 'sql', message }] })
  }
  const message =
    `The query of ${modelCalled(model)} needs more memory than it may have: set SLUICE_MEMORY higher, or let it select fewer or shorter columns, ` +
    `or sort and join less at once. ${said}`
  return new SluiceError('query', message, { cause: error, details: [{ field: 'sql', message }] })
}

/** Returns a `query` error that names an empty file of the query; null if no file is empty. */
export function emptyFile(
  { files }: ResolvedQuery,
  { model, error }: { readonly model: string; readonly error?: unknown },
): SluiceError | null {
  const file = files.find(path => statSync(path, { throwIfNoEntry: false })?.size === 0)
  if (file === undefined) return null
  const message =
    `${modelFirst(model)} reads the file ${file}, which is empty: it has 0 bytes, not even a line with the names of its columns. ` +
    'Nothing is taken as removed.'
  return new SluiceError('query', message, { cause: error, details: [{ file, field: 'sql', message }] })
}

/** Maps a place in the SQL as it ran to the place in the user's SQL. */
function placeAsWritten(place: SqlPlace | null, failure: QueryFailure): SqlPlace | null {
  if (place === null) return null
  const lines = failure.query.sql.split('\n').slice(0, place.line - 1)
  const offset = lines.reduce((sum, line) => sum + line.length + 1, 0) + place.column - 1
  const before = failure.written.slice(0, failure.query.originalOffset(offset)).split('\n')
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

/** Returns a `missing-file` error with the absolute path, and the nearest name in the same folder. */
export function missingFile(
  path: string,
  reader: { readonly model?: string; readonly source?: string; readonly isTable?: boolean },
): SluiceError {
  const who = reader.model === undefined ? `Source ${reader.source ?? ''}` : modelFirst(reader.model)
  const folder = dirname(path)
  const near = nearestName(basename(path), namesIn(folder))
  const advice = !existsSync(folder)
    ? ` The folder ${folder} does not exist either.`
    : near === null
      ? ''
      : ` Did you mean ${near}?`
  const message = isFolder(path)
    ? `${who} reads ${path}, which is a folder, and no file in it can be read so: name a file, or put the files into the folder.`
    : `${who} reads the file ${path}, which does not exist.${advice}`
  const field = reader.model === undefined ? 'path' : reader.isTable === true ? 'table' : 'sql'
  return new SluiceError('missing-file', message, { details: [{ file: path, field, message }] })
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter(name => !name.startsWith('.'))
  } catch {
    return []
  }
}
