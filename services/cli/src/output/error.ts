/** Errors, as text for people and as JSON. */
import type { ErrorBody } from '@sluice/contracts/api'
import { WrongState, type ErrorDetail, type SluiceError } from '@sluice/contracts/errors'
import { withTyped, type Called } from './called.ts'
import { painter, safe, wrap } from './paint.ts'

/** The JSON document of an error. */
export function errorBody(error: SluiceError): ErrorBody {
  const details = error.details.map(detail => ({ ...detail }))
  return { error: { code: error.code, message: error.message, details } }
}

const MAX_WIDTH = 110
/** The text shows this many details. `--json` has all of them. */
const MAX_DETAILS = 50

/** Prints an error for people, ending in a line break. It shows the stack only for bugs of Sluice. */
export function printError(
  error: SluiceError,
  { color, columns, called }: { color: boolean; columns?: number | null; called?: Called },
): string {
  const paint = painter(color)
  const width = Math.min(columns ?? MAX_WIDTH, MAX_WIDTH)
  // An error of usage shows how to call the command, without a folder.
  const isCallWrong = error.code === 'usage' && !(error instanceof WrongState)
  const typed = called !== undefined && isCallWrong ? { ...called, dir: null } : called
  const said = (text: string): boolean => error.message.split('\n').includes(text)
  const lines = [`${paint(['bold', 'red'], 'error')}: ${safeLines(withTyped(error.message, typed))}`]
  const isSaid = (message: string): boolean => {
    const found = [message, message.replace(/^\w+ `[^`]*`: /, '')]
    return found.some(each => said(each) || (error.details.length === 1 && error.message.endsWith(each)))
  }
  const details = error.details.filter(one => one.file !== undefined || !isSaid(one.message))
  for (const detail of details.slice(0, MAX_DETAILS)) {
    const place = placeText(detail)
    if (place !== '') lines.push('', `  ${paint('bold', safe(place))}`)
    if (isSaid(detail.message)) continue
    lines.push(
      ...wrap(safe(withTyped(detail.message, typed)), Math.max(width - 4, 20)).map(line => `    ${line}`),
    )
  }
  const more = details.length - MAX_DETAILS
  if (more > 0) lines.push('', `  … and ${more} more`)
  if (error.code === 'internal' && error.cause instanceof Error && error.cause.stack !== undefined) {
    lines.push('', paint('dim', safeLines(error.cause.stack)))
  }
  return `${lines.join('\n')}\n`
}

/**
 * Keeps line breaks: a database's message may have several lines, and one may point at a place in the SQL.
 */
function safeLines(text: string): string {
  return text.split('\n').map(safe).join('\n')
}

/** `models.yaml:12:3, field sql`. */
export function placeText({ file, line, column, field }: ErrorDetail): string {
  const at = [file, line, column].filter(part => part !== undefined).join(':')
  if (field === undefined || field === '') return at
  return at === '' ? `field ${field}` : `${at}  ${field}`
}
