/** Writes a notice as plain text, as HTML, and for Slack. */
import type { AlertNotice } from '@sluice/contracts/specs/alert-views'
import { counted, timeText } from './wording.ts'

/** A longer error is cut, since an API may answer with a whole page. */
const MAX_ERROR_CHARACTERS = 500

interface Part {
  readonly kind: 'text' | 'item' | 'todo' | 'link'
  readonly text: string
}

/** Returns the title as the subject of a mail, in one line. */
export function subjectOf({ title, state }: AlertNotice): string {
  const before = state === 'firing' ? '[alert]' : state === 'recovered' ? '[recovered]' : '[test]'
  return `${before} ${oneLine(title)}`
}

export function plainText(notice: AlertNotice): string {
  const lines = partsOf(notice).map(({ kind, text }) => (kind === 'item' ? `  - ${text}` : text))
  return `${[oneLine(notice.title), ...lines].join('\n')}\n`
}

export function htmlText(notice: AlertNotice): string {
  const parts = partsOf(notice).map(({ kind, text }) => {
    if (kind === 'item') return `<li>${html(text)}</li>`
    if (kind === 'link') return `<p><a href="${html(text)}">${html(text)}</a></p>`
    return `<p>${html(text)}</p>`
  })
  const body = parts
    .join('\n')
    .replaceAll(/(?:<li>.*<\/li>\n?)+/g, items => `<ul>\n${items.trimEnd()}\n</ul>\n`)
  return `<!doctype html>\n<html lang="en"><body>\n<h1 style="font-size:1.2em">${html(oneLine(notice.title))}</h1>\n${body}\n</body></html>\n`
}

/** Returns the body of a request to an incoming webhook of Slack. */
export function slackText(notice: AlertNotice): string {
  const sign = notice.state === 'firing' ? ':red_circle:' : ':large_green_circle:'
  const lines = partsOf(notice).map(({ kind, text }) => {
    if (kind === 'item') return `• ${slack(text)}`
    return kind === 'link' ? `<${slack(text)}|Open>` : slack(text)
  })
  return JSON.stringify({ text: [`${sign} *${slack(oneLine(notice.title))}*`, ...lines].join('\n') })
}

function partsOf(notice: AlertNotice): Part[] {
  const { text, run, errors, todo, link, state, since } = notice
  const parts: Part[] = [{ kind: 'text', text: oneLine(text, MAX_ERROR_CHARACTERS) }]
  if (state === 'firing') parts.push({ kind: 'text', text: `Since ${timeText(Date.parse(since))}.` })
  if (run !== null) {
    const { id, status, detected, delivered, notDelivered, rowsInvalid } = run
    const invalid = rowsInvalid === 0 ? '' : `, ${rowsInvalid} could not be read`
    parts.push({
      kind: 'text',
      text: `Run ${id}: ${status}, ${counted(detected, 'change')}, ${delivered} delivered, ${notDelivered} not delivered${invalid}.`,
    })
  }
  for (const { message, rows, key } of errors) {
    const which = key === null ? '' : ` (such as key ${oneLine(key)})`
    parts.push({
      kind: 'item',
      text: `${counted(rows, 'row')}${which}: ${oneLine(message, MAX_ERROR_CHARACTERS)}`,
    })
  }
  if (todo !== null) parts.push({ kind: 'todo', text: `What to do: ${todo}` })
  if (link !== null) parts.push({ kind: 'link', text: link })
  return parts
}

/** Removes control characters, which could begin another line or header, or reverse the text after them. */
function oneLine(text: string, most = 200): string {
  const line = text.replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]+/gu, ' ').trim()
  return line.length > most ? `${line.slice(0, most - 1)}…` : line
}

function html(text: string): string {
  const named: { readonly [character: string]: string } = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  }
  return text.replaceAll(/[&<>"]/g, character => named[character] ?? character)
}

/** Escapes the three characters that have a meaning for Slack. */
function slack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
