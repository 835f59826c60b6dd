/**
 * Where undici's parser takes the head of an answer for another one than RFC 9110 and 9112 do:
 *
 * - An interim answer may come before any answer, asked for or not, and must be passed over (RFC 9110 §15.2).
 *   undici passes over all of them except `100 Continue`, for which it gives up the connection. So its parser
 *   is told of another interim answer instead.
 * - `Transfer-Encoding` overrides `Content-Length` (RFC 9112 §6.3). undici takes no answer that has both. Its
 *   parser has a switch for that, and then has to forget the length. The server and a proxy may not agree on
 *   where such an answer ends. So the connection gets no further request.
 * - A head that is no HTTP has no length that an answer could break off before.
 * - A status is from 100 on. For a lower one undici breaks an assertion of its own.
 */
import { createRequire } from 'node:module'

const symbols: unknown = createRequire(import.meta.url)('undici/lib/core/symbols.js')
const kSocket = symbolNamed('kSocket')
const kParser = symbolNamed('kParser')

const CONTINUE = 100
const EARLY_HINTS = 103
const NO_LENGTH = -1

interface Parser {
  onHeadersComplete: (status: number, upgrade: boolean, keepAlive: boolean) => unknown
  createError: (code: number, data: Buffer) => unknown
  /** 0 before the head is complete. */
  readonly statusCode: number
  readonly hasTransferEncoding: boolean
  contentLength: number
  readonly ptr: number
  readonly llhttp: { llhttp_set_lenient_chunked_length(parser: number, enabled: number): void }
}

/** Call this with each client of undici whose connection has just opened. */
export function readHeadsAsWritten(client: object): void {
  const parser = field(field(client, kSocket), kParser)
  if (!isParser(parser)) throw new Error('this undici has no parser whose heads could be read')
  parser.llhttp.llhttp_set_lenient_chunked_length(parser.ptr, 1)
  const { onHeadersComplete, createError } = parser
  parser.createError = (code, data) => {
    if (parser.statusCode === 0) parser.contentLength = NO_LENGTH
    return createError.call(parser, code, data)
  }
  parser.onHeadersComplete = (status, upgrade, keepAlive) => {
    if (status < 100)
      throw new Error(
        `the answer has the status ${String(status).padStart(3, '0')}, and HTTP has none below 100`,
      )
    const hasBoth = parser.hasTransferEncoding && parser.contentLength !== NO_LENGTH
    if (hasBoth) parser.contentLength = NO_LENGTH
    const told = status === CONTINUE ? EARLY_HINTS : status
    return onHeadersComplete.call(parser, told, upgrade, keepAlive && !hasBoth)
  }
}

function isParser(value: unknown): value is Parser {
  return (
    typeof field(value, 'onHeadersComplete') === 'function' &&
    typeof field(value, 'createError') === 'function' &&
    field(value, 'statusCode') === 0 &&
    typeof field(field(value, 'llhttp'), 'llhttp_set_lenient_chunked_length') === 'function' &&
    typeof field(value, 'ptr') === 'number' &&
    field(value, 'contentLength') === NO_LENGTH &&
    field(value, 'hasTransferEncoding') === false
  )
}

function field(of: unknown, name: symbol | string): unknown {
  return typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined
}

function symbolNamed(name: string): symbol {
  const found = field(symbols, name)
  if (typeof found !== 'symbol') throw new Error(`this undici has no ${name}`)
  return found
}
