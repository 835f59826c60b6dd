/** Changes of resources, as people read them. */
import type {
  ChangesView,
  ChangeView,
  FieldChange,
  ResourceHistoryView,
} from '@sluice/contracts/api/resources'
import { fit, painter, safe, type Paint } from '../../output/paint.ts'
import { table } from '../../output/table.ts'
import type { OutputOptions } from '../../output/wording.ts'

const USUAL_COLUMNS = 100
/** Lines of a text that differs. */
const MAX_LINES = 6

const SIGNS = { create: '+', update: '~', delete: '-' } as const
const COLORS = { create: 'green', update: 'yellow', delete: 'red' } as const

/** What changes, or has changed, resource by resource and field by field. `end` says what to do next. */
export function changesText(
  { changes }: ChangesView,
  options: OutputOptions & { readonly tense: 'would' | 'did'; readonly end: string | null },
): string {
  const { color, columns, tense, end } = options
  const paint = painter(color)
  if (changes.length === 0)
    return `${paint('green', '✓')} Nothing ${tense === 'would' ? 'to change' : 'has changed'}: what is stored is as the folder has it.\n`
  const width = columns ?? USUAL_COLUMNS
  const lines = changes.flatMap(change => changeLines(change, { paint, width }))
  const count = (of: ChangeView['action']): number => changes.filter(({ action }) => action === of).length
  const parts = (['create', 'update', 'delete'] as const).flatMap(action =>
    count(action) === 0 ? [] : [`${count(action)} ${WORDS[tense][action]}`],
  )
  return `${[...lines, '', [`${parts.join(', ')}.`, ...(end === null ? [] : [end])].join(' ')].join('\n')}\n`
}

const WORDS = {
  would: { create: 'to create', update: 'to change', delete: 'to delete' },
  did: { create: 'created', update: 'changed', delete: 'deleted' },
} as const

interface Look {
  readonly paint: Paint
  readonly width: number
}

function changeLines({ kind, name, action, values = [], takenFrom }: ChangeView, look: Look): string[] {
  const { paint } = look
  const from =
    takenFrom === undefined ? '' : ` (${takenFrom === '' ? 'the server’s own' : `of ${takenFrom}`} until now)`
  const head = `${paint(COLORS[action], SIGNS[action])} ${kind.padEnd(11)} ${safe(name)}${safe(from)}`
  const fields = values.flatMap(value => fieldLines(value, look))
  return [head, ...fields]
}

/** One line for short values. Of texts with several lines, those that differ. */
function fieldLines({ field, before, after }: FieldChange, { paint, width }: Look): string[] {
  const old = valueText(before)
  const now = valueText(after)
  if (!old.includes('\n') && !now.includes('\n')) {
    const room = Math.max(10, Math.floor((width - field.length - 10) / 2))
    return [`    ${safe(field)}  ${fit(safe(old), room)} ${paint('dim', '→')} ${fit(safe(now), room)}`]
  }
  const [gone, come] = differing(old.split('\n'), now.split('\n'))
  const shown = (lines: readonly string[], sign: '-' | '+'): string[] => {
    const some = lines.slice(0, MAX_LINES).map(line => {
      return paint(sign === '-' ? 'red' : 'green', `      ${sign} ${fit(safe(line), width - 8)}`)
    })
    return lines.length > MAX_LINES
      ? [...some, `      ${sign} … ${lines.length - MAX_LINES} more lines`]
      : some
  }
  return [`    ${safe(field)}`, ...shown(gone, '-'), ...shown(come, '+')]
}

/** The lines between the first and the last one that differ. */
function differing(
  old: readonly string[],
  now: readonly string[],
): readonly [readonly string[], readonly string[]] {
  let start = 0
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1
  let end = 0
  const most = Math.min(old.length, now.length) - start
  while (end < most && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1
  return [old.slice(start, old.length - end), now.slice(start, now.length - end)]
}

function valueText(value: unknown): string {
  if (value === undefined) return '(none)'
  return typeof value === 'string' ? value.replace(/\n$/, '') : JSON.stringify(value)
}

/** The versions of a resource as a table. */
export function versionsText({ versions }: ResourceHistoryView, { color, columns }: OutputOptions): string {
  const rows = versions.map(({ version, at, by, project, action, fields }) => [
    ...[String(version), at?.slice(0, 19).replace('T', ' ') ?? '', by ?? '', project],
    action === 'update' ? fields.join(', ') : `${action}d`,
  ])
  const lines = table(
    ['VERSION', 'AT', 'BY', 'PROJECT', 'CHANGED'].map(title => ({
      title,
      align: title === 'VERSION' ? ('right' as const) : ('left' as const),
      shrinks: title === 'CHANGED',
      drops: title === 'PROJECT',
    })),
    rows.map(row => row.map(safe)),
    { width: columns, paint: painter(color) },
  )
  return `${lines.join('\n')}\n`
}
