/**
 * Requests as people read them, and the output of `sluice preview`: how many rows, the requests, and how to
 * see more.
 */
import type { Preview, PreviewInput, Previewed } from '@sluice/control/port'
import { asTyped, withTyped } from './called.ts'
import { painter, safe, shownKey } from './paint.ts'
import { counted, number, type OutputOptions } from './wording.ts'

/** The output shows this many characters of a body. */
const BODY_SHOWN = 4_000

type Found = Pick<Preview, 'counts' | 'rowsRead' | 'rowsInvalid' | 'invalidRows' | 'notices'>

/** The number of rows of each kind, the invalid rows, and the notices. */
export function previewHead(sync: string, next: Found, options: OutputOptions): string {
  const paint = painter(options.color)
  const { added, changed, removed } = next.counts
  const all = added + changed + removed
  const title = paint('bold', sync)
  const lines =
    all === 0
      ? [`${title}  nothing would be sent`]
      : [`${title}  the next run would send ${counted(all, 'row')}`]
  const counts =
    all === 0 ? [] : [`${number(added)} added`, `${number(changed)} changed`, `${number(removed)} removed`]
  lines.push(`  ${[...counts, `${counted(next.rowsRead, 'row')} read`].join(' · ')}`)
  if (next.rowsInvalid > 0) {
    lines.push(`  ${counted(next.rowsInvalid, 'row')} would not be taken:`)
    for (const { key, reason } of next.invalidRows)
      lines.push(`    ${key === null ? '' : `${shownKey(key)}: `}${safe(reason)}`)
  }
  for (const notice of next.notices)
    lines.push(`  ${paint('yellow', 'note')}: ${safe(withTyped(notice, options.called))}`)
  return `${lines.join('\n')}\n`
}

/**
 * A request with its headers and body, or rows without a request and the reason. Begins with an empty line.
 */
export function previewItem(item: Previewed, options: OutputOptions): string {
  const paint = painter(options.color)
  const sample = item.sample === true ? ' · sample' : ''
  const rows = paint('dim', `${item.trigger} · ${keysText(item.keys)}${sample}`)
  if (item.kind === 'rejected')
    return `\n${paint('red', '✗ would be rejected')}  ${rows}\n  ${safe(item.error)}\n`
  const { method, url, headers, body } = item
  const isLong = body !== null && body.length > BODY_SHOWN
  const shown = isLong ? body.slice(0, BODY_SHOWN) : body
  const lines = [`${paint('bold', safe(`${method} ${url}`))}  ${rows}`, ...messageLines(headers, null)]
  if (shown !== null && shown !== '') lines.push('', ...messageLines({}, itemsApart(shown)))
  if (isLong) lines.push(paint('dim', `  … ${number(body.length)} characters; --json shows all of them`))
  return `\n${lines.join('\n')}\n`
}

/** Says what the output leaves out, and how to see it. */
export function previewEnd(
  next: Found,
  shownPart: {
    readonly sync: string
    readonly narrowing: Omit<PreviewInput<'preview'>, 'sync'>
    /** The number of requests that were shown. */
    readonly shown: number
    /** The number of rows in these requests. */
    readonly rows: number
    readonly isCut: boolean
    /** True for a stream, of which no command sends this. */
    readonly isStream?: boolean
    /**
     * True if the requests are samples: they show rows of the model instead of rows that would have changed.
     */
    readonly isSample?: boolean
  },
  options: OutputOptions,
): string {
  const paint = painter(options.color)
  const { added, changed, removed } = next.counts
  const { sync, narrowing, shown, rows, isCut, isStream = false, isSample = false } = shownPart
  const all = added + changed + removed
  if (isSample) {
    const { trigger = '' } = narrowing
    const stands = `a sample: no such row waits for the trigger \`${trigger}\`, so a row of the model stands for it`
    return `\n${paint('dim', stands)}\n`
  }
  if (all === 0 && narrowing.trigger === undefined && narrowing.key === undefined) return ''
  const isNarrowed =
    narrowing.trigger !== undefined || narrowing.key !== undefined || narrowing.rows !== undefined
  if (shown === 0) {
    const { key, trigger } = narrowing
    const row = `No ${trigger === undefined ? '' : 'such '}row${key === undefined ? '' : ` with key \`${shownKey(key)}\``}`
    const why = trigger === undefined ? 'none was added, changed or removed' : 'the model has none, either'
    return `\n${row} would be sent: ${why}.\n`
  }
  if (isCut) {
    const rest = `${counted(shown, 'request')} with ${number(rows)} rows shown; \`--rows N\` shows those of N rows, \`--json\` all`
    return `\n${paint('dim', `… and more: ${rest}`)}\n`
  }
  const unless = next.notices.length === 0 ? '' : ', unless a note above says otherwise'
  const hint = isNarrowed
    ? 'requests of the chosen rows alone; a run puts them together with the others'
    : isStream
      ? `a comparison with the whole table would send this; \`${asTyped('sluice up', options.called)}\` sends each change as it comes${unless}`
      : `\`${asTyped(`sluice run ${sync}`, options.called)}\` sends this${unless}`
  return `\n${paint('dim', hint)}\n`
}

/**
 * Breaks JSON of one line into a line for each item or field. Any other text stays as it is. It breaks only
 * at commas, and takes away only white space around them.
 */
export function itemsApart(body: string): string {
  const text = body.trim()
  const opening = text[0] ?? ''
  if (!['[', '{'].includes(opening) || text.includes('\n')) return body
  const lines = [opening]
  let depth = 0
  let from = 1
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/g)) {
    if (token === '[' || token === '{') depth += 1
    else if (token === ']' || token === '}') depth -= 1
    if (depth === 1 && token === ',') {
      lines.push(`  ${text.slice(from, index + 1).trim()}`)
      from = index + 1
    }
    if (depth === 0) {
      const last = text.slice(from, index).trim()
      return [...lines, ...(last === '' ? [] : [`  ${last}`]), text.slice(index)].join('\n')
    }
  }
  return [...lines, `  ${text.slice(from).trim()}`].join('\n')
}

const MAX_KEYS = 3

/** The keys of a request's rows. If there are many, their number and the first keys. */
export function keysText(keys: readonly string[]): string {
  const shown = keys.slice(0, MAX_KEYS).map(shownKey).join(', ')
  return keys.length > MAX_KEYS ? `${counted(keys.length, 'row')}: ${shown}, …` : shown
}

/** Headers and body, indented. */
export function messageLines(headers: { readonly [name: string]: string }, body: string | null): string[] {
  const lines = Object.entries(headers).map(([name, value]) => `  ${safe(name)}: ${safe(value)}`)
  if (body !== null && body !== '') {
    lines.push(
      ...body
        .replace(/\n$/, '')
        .split('\n')
        .map(line => (line === '' ? '' : `  ${safe(line)}`)),
    )
  }
  return lines
}
