/** One run in words: the last output of `sluice run`, and the output of `sluice runs show`. */
import type { FailedPage, FailedRow, RunView } from '@sluice/contracts/api'
import { PHASE_NAMES, runInWords } from '@sluice/contracts/views/state-words'
import type { Op } from '@sluice/contracts/state'
import { asTyped, withTyped } from './called.ts'
import { placeText } from './error.ts'
import { errorGroupLines, unknownLines, failedTable, unknownRows } from './failed-table.ts'
import { painter, safe, shownKey, wrap, type Paint } from './paint.ts'
import { table } from './table.ts'
import {
  clockTime,
  counted,
  elapsed,
  number,
  paintStatus,
  runDuration,
  streamInWords,
  waitText,
  type OutputOptions,
} from './wording.ts'

const MARKS: { readonly [status in RunView['status']]: string } = {
  success: '✓',
  warning: '!',
  failed: '✗',
  cancelled: '✗',
  held: '‖',
  running: '…',
  queued: '…',
}
const OPS: readonly Op[] = ['added', 'changed', 'removed']

export interface SummaryOptions extends OutputOptions {
  readonly now: number
  /** The rows of this run that wait for a retry. Null or absent if they are not known. */
  readonly waiting?: FailedPage | null
  /** True if no later run can have tried these rows since. */
  readonly justEnded?: boolean
}

/**
 * The summary of a run, ending in a line break: its status, its counts per trigger, what went wrong, and what
 * to do next.
 */
export function runSummary(shown: RunView, options: SummaryOptions): string {
  const run = withSafeNames(shown)
  const waiting = options.waiting ?? null
  const paint = painter(options.color)
  const took = runDuration(run, options.now)
  const word = runInWords(run)
  const mark =
    word === 'failing'
      ? paint('red', `✗ ${word}`)
      : paintStatus(run.status, `${MARKS[run.status]} ${run.status}`, paint)
  const lines = [
    `${mark}  ${paint('bold', run.sync)}  ${paint('dim', [took, run.id].filter(Boolean).join('  '))}`,
  ]
  lines.push(...errorLines(run, options, paint))
  const counts = triggerTable(run, options, paint)
  if (counts.length > 0) lines.push('', ...counts)
  lines.push(...rowLines(run))
  if (run.stream !== undefined && run.status === 'running')
    lines.push('', `  It ${streamInWords(run.stream, options.now)}`)
  for (const notice of run.notices ?? []) lines.push(...noticeLines(notice, options, paint))
  if (waiting !== null && waiting.rows.length > 0)
    lines.push('', ...errorGroupLines(waiting.rows, options, paint), ...uncounted(waiting))
  lines.push(...nextSteps(run, options, paint))
  return `${lines.join('\n')}\n`
}

/** Makes the names of a run safe to print: anybody who may write to the topic may have chosen them. */
function withSafeNames(run: RunView): RunView {
  return { ...run, id: safe(run.id), sync: safe(run.sync) }
}

/** All details of a run, with the rows that it did not deliver. */
export function runDetails(
  run: RunView,
  failed: readonly FailedRow[],
  options: SummaryOptions & { readonly moreFailed: boolean },
): string {
  const paint = painter(options.color)
  const times = [
    run.startedAt === null ? 'not started yet' : `started ${clockTime(run.startedAt, options.timeZone)}`,
    run.endedAt === null ? null : `ended ${clockTime(run.endedAt, options.timeZone)}`,
    `cause ${run.cause}`,
    run.by === undefined ? null : `asked for by ${safe(run.by)}`,
  ].filter(part => part !== null)
  const lines = [
    runSummary(run, options).trimEnd(),
    '',
    paint('dim', times.join(' · ')),
    ...phaseLines(run, options),
    ...waitLines(run, options, paint),
  ]
  if (failed.length > 0) {
    lines.push('', paint('bold', 'Rows that this run did not deliver'), ...failedTable(failed, options))
    if (options.moreFailed)
      lines.push(
        paint('dim', `… and more: \`${asTyped(`sluice failed ${safe(run.sync)}`, options.called)}\``),
      )
  }
  return `${lines.join('\n')}\n`
}

/** A table of the phases: `Comparing rows`, `1.2 s`, and the time at which it began. */
function phaseLines({ phases = [] }: RunView, { now, timeZone, columns }: SummaryOptions): readonly string[] {
  if (phases.length === 0) return []
  const paint = painter(false)
  const rows = phases.map(({ phase, startedAt, endedAt, failed }) => {
    const took = elapsed(Math.max(0, (endedAt === null ? now : Date.parse(endedAt)) - Date.parse(startedAt)))
    return [
      `  ${PHASE_NAMES[phase]}`,
      endedAt === null ? `${took} so far` : failed === true ? `${took}, failed` : took,
      `from ${clockTime(startedAt, timeZone)}`,
    ]
  })
  const titles = ['  phase', 'took', 'began']
  return [
    '',
    ...table(
      titles.map(title => ({ title })),
      rows,
      { width: columns, paint },
    ),
  ]
}

/** The lines of what the run waits for now. */
function waitLines({ waiting = [] }: RunView, { now }: SummaryOptions, paint: Paint): readonly string[] {
  return waiting.length === 0 ? [] : ['', ...waiting.map(wait => paint('yellow', `  ${waitText(wait, now)}`))]
}

function errorLines(run: RunView, { columns, called }: OutputOptions, paint: Paint): string[] {
  if (run.error === null) return []
  const width = Math.max((columns ?? 110) - 2, 20)
  const lines = run.error
    .split('\n')
    .flatMap(line => wrap(safe(withTyped(line, called)), width))
    .map(line => `  ${paint('red', line)}`)
  return [...lines, ...placeLines(run.errorDetails ?? [], width, paint)]
}

/** The places of the mistakes. The error itself has the message of a single mistake. */
function placeLines(
  details: NonNullable<RunView['errorDetails']>,
  width: number,
  paint: Paint,
): readonly string[] {
  return details.flatMap(detail => {
    const place = placeText(detail)
    if (place === '') return []
    const message = details.length === 1 ? [] : wrap(safe(detail.message), width - 4)
    return [`  ${paint('bold', safe(place))}`, ...message.map(line => `      ${line}`)]
  })
}

function noticeLines(notice: string, { columns, called }: OutputOptions, paint: Paint): string[] {
  const text = safe(withTyped(notice, called))
  const [first = '', ...rest] = columns === null ? [text] : wrap(text, Math.max(columns - 8, 20))
  return [`  ${paint('yellow', 'note')}: ${first}`, ...rest.map(line => `        ${line}`)]
}

function triggerTable(run: RunView, { columns }: OutputOptions, paint: Paint): string[] {
  const shown = OPS.flatMap(op => {
    const counts = run.triggers[op]
    return counts === undefined ? [] : [{ op, counts }]
  })
  if (shown.length === 0 || shown.every(({ counts }) => counts.detected === 0)) return []
  const column = (title: string, color: 'green' | 'red' | 'yellow' | null) => ({
    title,
    align: 'right' as const,
    style: (cell: string, text: string) => {
      if (text === '0') return paint('dim', cell)
      return color === null ? cell : paint(color, cell)
    },
  })
  return table(
    [
      { title: '' },
      column('rows', null),
      column('delivered', 'green'),
      column('rejected', 'red'),
      column('unknown', 'yellow'),
      column('unsent', 'yellow'),
      column('requests', null),
      column('attempts', null),
    ],
    shown.map(({ op, counts }) => [
      `  ${op}`,
      ...[counts.detected, counts.delivered, counts.rejected, counts.unknown, counts.unsent].map(number),
      ...[counts.requests, counts.attempts].map(number),
    ]),
    { width: columns, paint },
  )
}

function rowLines(run: RunView): string[] {
  const lines: string[] = []
  if (run.cause === 'reset')
    return run.status === 'success' ? ['  What was delivered is forgotten; the next run is the first.'] : []
  const detected = OPS.reduce((sum, op) => sum + (run.triggers[op]?.detected ?? 0), 0)
  if (run.status === 'success' && detected === 0) {
    lines.push(
      `  ${counted(run.rowsRead, 'row')} read, ${looksAtSome(run) ? '' : 'nothing changed, '}nothing sent`,
    )
  } else if (run.rowsRead > 0) lines.push('', `  ${counted(run.rowsRead, 'row')} read`)
  if (run.rowsInvalid > 0) {
    lines.push(`  ${counted(run.rowsInvalid, 'row')} not taken:`)
    for (const { key, reason } of run.invalidRows ?? []) {
      lines.push(`    ${key === null ? '' : `${shownKey(key)}: `}${safe(reason)}`)
    }
  }
  return lines
}

/** True for a run that looks only at chosen rows, so that other rows may have changed. */
function looksAtSome({ cause }: RunView): boolean {
  return cause === 'discard' || cause === 'retry'
}

/** The next steps after a run that did not go well. */
function nextSteps(run: RunView, options: SummaryOptions, paint: Paint): string[] {
  const { called, columns, waiting = null, justEnded = false } = options
  const undelivered = undeliveredRows(run) > 0
  const step = (command: string, why: string): string => {
    const typed = asTyped(command, called)
    const fits = typed.length + why.length + 4 <= (columns ?? Number.MAX_SAFE_INTEGER)
    return `  ${paint('cyan', typed)}${fits ? '  ' : '\n    '}${why}`
  }
  if (run.status === 'warning' && undelivered) {
    return [
      '',
      ...(justEnded ? goneLines(run, waiting) : []),
      ...(waiting === null || waiting.rows.length > 0
        ? [
            ...againLines(run, { ...options, waiting }),
            ...loginLines(waiting),
            step(`sluice failed ${run.sync}`, 'which rows, and why'),
          ]
        : []),
      step(`sluice attempts --run ${run.id}`, 'what was sent and answered'),
    ]
  }
  if (run.status === 'held') return heldLines(run, step)
  const isPlaced = (run.errorDetails ?? []).some(detail => placeText(detail) !== '')
  const isWritten = ['query', 'template'].includes(run.errorCode ?? '')
  if (run.status === 'failed' && justEnded && isWritten && !isPlaced)
    return ['', step(`sluice preview ${run.sync}`, 'where the mistake is')]
  return []
}

/** Says where credentials are set, if the API has refused them for some rows. */
function loginLines(waiting: FailedPage | null): readonly string[] {
  if (waiting?.rows.some(({ status }) => status === 401) !== true) return []
  return [
    '  Status 401 means that the API refuses the credentials: check `auth` and `headers` of the destination, and the',
    '  secrets in them. `sluice secret set NAME` replaces a secret of the vault.',
  ]
}

/** Returns how many rows of a run were not delivered. */
export function undeliveredRows({ triggers }: RunView, ops: readonly Op[] = OPS): number {
  return ops.reduce((sum, op) => {
    const counts = triggers[op]
    return counts === undefined ? sum : sum + counts.rejected + counts.unknown + counts.unsent
  }, 0)
}

/** Says when the waiting rows are tried again. */
function againLines(
  { sync }: RunView,
  { waiting, ...options }: OutputOptions & { readonly waiting: FailedPage | null },
): readonly string[] {
  const unknown = waiting === null ? 0 : unknownRows(waiting)
  const others = (waiting?.rows.length ?? 0) - unknown
  if (unknown === 0) return ['  Rows that were not delivered are tried again on the next run.']
  const advice = unknownLines(unknown, { ...options, sync }).map(line => `  ${line}`)
  if (others === 0) return advice
  return [...advice, `  The other ${others === 1 ? 'row is' : 'rows are'} tried again on the next run.`]
}

/** Reports removals that can never be sent. No run tries them again, and their rows are taken as gone. */
function goneLines(run: RunView, waiting: FailedPage | null): string[] {
  if (waiting === null || waiting.next !== null || run.endedAt === null) return []
  const gone = undeliveredRows(run, ['removed']) - waiting.rows.filter(({ op }) => op === 'removed').length
  if (gone <= 0) return []
  return [
    `  ${counted(gone, 'removed row')} can never be sent: ${gone === 1 ? 'it is' : 'they are'} taken as gone.`,
  ]
}

function uncounted({ rows, next }: FailedPage): string[] {
  return next === null ? [] : [`  … counted in the first ${counted(rows.length, 'row')}`]
}

/** Says why a run is held, and what a person can do about it. */
function heldLines(run: RunView, step: (command: string, why: string) => string): string[] {
  const { removed, rows, samples, destination } = run.held ?? { removed: 0, rows: 0, samples: [] }
  if (destination !== undefined)
    return [
      '',
      `  Held: ${safe(destination.why)}. Nothing was sent.`,
      `  ${counted(rows, 'row')} ${rows === 1 ? 'was' : 'were'} delivered to the one before.`,
      '',
      step(`sluice approve ${run.id} --same-destination`, 'the same API: go on with what was delivered'),
      step(`sluice approve ${run.id} --new-destination`, 'another API: forget that, and send every row'),
      run.stream === undefined
        ? step(`sluice run ${run.sync}`, 'after you put the destination back')
        : step(`sluice cancel ${run.id}`, 'after you put the destination back: the stream goes on'),
    ]
  const isEmpty = run.rowsRead === run.rowsInvalid
  return [
    '',
    `  The removal guard holds it: ${isEmpty ? 'the model has no usable row, and ' : ''}it would remove ${number(removed)} of ${counted(rows, 'row')}. Nothing was sent.`,
    `  Some of these rows:`,
    ...samples.map(key => `    ${shownKey(key)}`),
    ...(removed > samples.length ? [`    … and ${number(removed - samples.length)} more`] : []),
    '',
    step(`sluice approve ${run.id}`, 'look again, and send if no more rows would go than these'),
    run.stream === undefined
      ? step(`sluice run ${run.sync}`, 'after you mend the model: a newer run takes the place of this one')
      : step(`sluice cancel ${run.id}`, 'after you put the rows back: the stream compares the table anew'),
  ]
}
