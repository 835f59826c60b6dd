/**
 * Corrects undici's parser where it reads the head of an answer differently from RFC 9110 and 9112:
 *
 * - An interim answer may come before any answer and must be ignored (RFC 9110 §15.2). undici ignores all of
 *   them except `100 Continue`, for which it gives up the connection. So its parser gets another interim
 *   status instead.
 * - `Transfer-Encoding` overrides `Content-Length` (RFC 9112 §6.3). undici refuses answers with both. A
 *   switch of its parser accepts them, and then the length has to be forgotten. Server and proxy may not
 *   agree on the end of an answer with both, so the connection gets no further request.
 * - A head that is no HTTP has no length. undici would report that the answer broke off before that length.
 * - A status below 100 breaks an assertion of undici. It is refused here.
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
  /** The status; 0 before the head is complete. */
  readonly statusCode: number
  readonly hasTransferEncoding: boolean
  contentLength: number
  readonly ptr: number
  readonly llhttp: { llhttp_set_lenient_chunked_length(parser: number, enabled: number): void }
}

/** Corrects the parser of a client. Call it with each client of undici whose connection has just opened. */
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
    const interim = status === CONTINUE ? EARLY_HINTS : status
    return onHeadersComplete.call(parser, interim, upgrade, keepAlive && !hasBoth)
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

function field(object: unknown, name: symbol | string): unknown {
  return typeof object === 'object' && object !== null ? Reflect.get(object, name) : undefined
}

/** Returns a symbol of undici's own. Throws if this version has none of that name. */
export function symbolNamed(name: string): symbol {
  const found = field(symbols, name)
  if (typeof found !== 'symbol') throw new Error(`this undici has no ${name}`)
  return found
}
