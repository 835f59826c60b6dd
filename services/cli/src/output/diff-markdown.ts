/** Changes of resources and next runs, as Markdown that code hosts show. */
import type { ChangesView } from '@sluice/contracts/api/resources'
import type { SluiceError } from '@sluice/contracts/errors'
import type { Preview, Previewed } from '@sluice/control/port'
import { counted, number } from './wording.ts'

/** In the order in which people think of them. */
const TRIGGERS = ['added', 'changed', 'removed'] as const
/** A body is cut behind this many characters. */
const MAX_BODY = 2_000

export interface NextRunShown extends Pick<Preview, 'counts' | 'rowsRead' | 'rowsInvalid' | 'notices'> {
  readonly sync: string
  readonly requests: number
  /** True if there are more requests. */
  readonly more: boolean
  readonly shown: readonly Previewed[]
}

/** A sync whose next run cannot be foreseen. */
export interface NotForeseen {
  readonly sync: string
  readonly error: SluiceError
}

export function diffMarkdown(changes: ChangesView, runs: readonly (NextRunShown | NotForeseen)[]): string {
  const parts = [resourcesPart(changes), runsPart(runs), ...runs.map(syncPart)]
  return `${parts.filter(part => part !== '').join('\n\n')}\n`
}

const DONE = { create: 'created', update: 'changed', delete: 'deleted' } as const

function resourcesPart({ changes }: ChangesView): string {
  if (changes.length === 0) return '### Resources\n\n`sluice apply` would change nothing.'
  const rows = changes.map(({ kind, name, action, fields }) => [
    `${kind} ${code(name)}`,
    DONE[action],
    fields.map(code).join(', '),
  ])
  return `### Resources\n\n${table(['resource', 'would be', 'fields'], rows)}`
}

function runsPart(runs: readonly (NextRunShown | NotForeseen)[]): string {
  if (runs.length === 0) return '### Next runs\n\nThe project has no sync.'
  const rows = runs.map(run => {
    if ('error' in run) return [code(run.sync), '', '', '', 'cannot be foreseen']
    const { counts, requests, more } = run
    return [
      code(run.sync),
      ...TRIGGERS.map(op => number(counts[op])),
      `${number(requests)}${more ? ' or more' : ''}`,
    ]
  })
  return `### Next runs\n\n${table(['sync', ...TRIGGERS, 'requests'], rows)}`
}

function syncPart(run: NextRunShown | NotForeseen): string {
  const head = `#### ${code(run.sync)}`
  if ('error' in run) return `${head}\n\n${quote(run.error.message)}`
  const { rowsInvalid, notices, shown } = run
  const invalid = rowsInvalid === 0 ? [] : [`${counted(rowsInvalid, 'row')} would not be taken.`]
  const notes = [...invalid, ...notices].map(quote)
  const parts = [...notes, ...shown.map(requestPart)]
  return parts.length === 0 ? '' : [head, ...parts].join('\n\n')
}

function requestPart(item: Previewed): string {
  const rows = `${item.trigger}, ${counted(item.keys.length, 'row')}`
  if (item.kind === 'rejected') return quote(`${rows}: would be rejected: ${item.error}`)
  const { method, url, body } = item
  const summary = `<details><summary><code>${html(`${method} ${url}`)}</code> · ${rows}</summary>`
  const text = body === null || body === '' ? '' : `\n\n${fenced(body)}`
  return `${summary}${text}\n\n</details>`
}

/** The body in a fence that is longer than any row of backticks in it. */
function fenced(body: string): string {
  const shown = body.length > MAX_BODY ? `${body.slice(0, MAX_BODY)}\n…` : body
  const longest = Math.max(2, ...[...shown.matchAll(/`+/g)].map(([ticks]) => ticks.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}\n${shown}\n${fence}`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function code(text: string): string {
  return `\`${text.replaceAll('`', "'")}\``
}

function quote(text: string): string {
  return text
    .split('\n')
    .map(line => `> ${html(line)}`)
    .join('\n')
}

const ENTITIES: { readonly [character: string]: string } = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

function html(text: string): string {
  return text.replaceAll(/[&<>]/g, character => ENTITIES[character] ?? '')
}
