/**
 * An interim answer may come before any answer, asked for or not, and must be passed over (RFC 9110 §15.2).
 * undici passes over all of them except `100 Continue`, for which it gives up the connection. So its parser
 * is told of another interim answer instead.
 */
import { createRequire } from 'node:module'

const symbols: unknown = createRequire(import.meta.url)('undici/lib/core/symbols.js')
const kSocket = symbolNamed('kSocket')
const kParser = symbolNamed('kParser')

const CONTINUE = 100
const EARLY_HINTS = 103

interface Parser {
  onHeadersComplete: (status: number, ...rest: readonly unknown[]) => unknown
}

/** Call this with each client of undici whose connection has just opened. */
export function passOverInterimAnswers(client: object): void {
  const parser = field(field(client, kSocket), kParser)
  if (!isParser(parser))
    throw new Error('this undici has no parser whose interim answers could be passed over')
  const { onHeadersComplete } = parser
  parser.onHeadersComplete = (status, ...rest) =>
    onHeadersComplete.call(parser, status === CONTINUE ? EARLY_HINTS : status, ...rest)
}

function isParser(value: unknown): value is Parser {
  return typeof field(value, 'onHeadersComplete') === 'function'
}

function field(of: unknown, name: symbol | string): unknown {
  return typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined
}

function symbolNamed(name: string): symbol {
  const found = field(symbols, name)
  if (typeof found !== 'symbol') throw new Error(`this undici has no ${name}`)
  return found
}
