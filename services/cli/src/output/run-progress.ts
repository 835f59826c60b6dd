/**
 * The progress of a run on stderr. On a terminal it draws a few lines in place, at most ten times a second.
 * Elsewhere it prints plain lines: one when a run begins, one when the run knows how much there is to do, and
 * then one each half minute, so that logs stay short.
 */
import type { RunView } from '@sluice/contracts/api'
import { terminalColumns, type TextSink } from '../command.ts'
import { fit, painter, safe } from './paint.ts'
import { counted, elapsed, number, runDuration, streamInWords, waitText } from './wording.ts'

const REDRAW_MS = 100
const TICK_MS = 1_000
const PLAIN_EVERY_MS = 30_000
const OPS = ['added', 'changed', 'removed'] as const
const BAR_WIDTH = 24
const ENDING = 'interrupted: waiting for requests on their way; interrupt again to stop'
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const

export interface RunProgress {
  /** Takes the newest state of the run; may be called as often as it changes. */
  update(run: RunView): void
  /** Says that the run was asked to end, and what it still waits for. */
  ending(): void
  /** Takes the drawing away. Nothing is drawn afterwards. */
  end(): void
}

/** Draws the progress of one run. `now` gives milliseconds since 1970. */
export function runProgress(
  stderr: TextSink,
  { color, now }: { readonly color: boolean; readonly now: () => number },
): RunProgress {
  return stderr.isTTY === true ? drawnProgress(stderr, color, now) : plainProgress(stderr, now)
}

function drawnProgress(stderr: TextSink, color: boolean, now: () => number): RunProgress {
  let drawn = 0
  let newest: RunView | null = null
  let isEnding = false
  let lastDrawnAt = Number.NEGATIVE_INFINITY
  let ended = false
  const erase = () => {
    if (drawn > 0) stderr.write(`\u001b[${drawn}A\u001b[0J`)
    drawn = 0
  }
  const draw = (run: RunView, at: number) => {
    lastDrawnAt = at
    const lines = progressLines(run, { color, columns: terminalColumns(stderr) ?? 80, now: at, isEnding })
    erase()
    stderr.write(`${lines.join('\n')}\n`)
    drawn = lines.length
  }
  // The time that a run waits goes on between two updates.
  const tick = setInterval(() => {
    if (newest !== null) draw(newest, now())
  }, TICK_MS)
  tick.unref()
  return {
    update(run) {
      newest = run
      const at = now()
      // The absolute value keeps the drawing alive if the clock was set back.
      if (!ended && Math.abs(at - lastDrawnAt) >= REDRAW_MS) draw(run, at)
    },
    ending() {
      isEnding = true
      if (!ended && newest !== null) draw(newest, now())
    },
    end() {
      if (!ended) erase()
      clearInterval(tick)
      ended = true
    },
  }
}

/** The lines to draw for a running run. None is wider than the terminal. */
export function progressLines(
  run: RunView,
  {
    color,
    columns,
    now,
    isEnding,
  }: {
    readonly color: boolean
    readonly columns: number
    readonly now: number
    /** True once the run was asked to end. */
    readonly isEnding: boolean
  },
): string[] {
  const paint = painter(color)
  const width = columns - 1
  const spinner = SPINNER[Math.floor(now / REDRAW_MS) % SPINNER.length] ?? ''
  const head = fit(`${spinner} ${safe(run.sync)}  ${phase(run)}  ${runDuration(run, now)}`, width)
  const lines = [paint('cyan', head)]
  if (isEnding) lines.push(paint('yellow', fit(`  ${ENDING}`, width)))
  if (run.restoring !== undefined && run.restoring.why !== null)
    lines.push(fit(`  ${safe(run.restoring.why)}`, width))
  // A wait says the same as a notice, and also how long it lasts.
  if (run.status === 'queued' && run.waiting === undefined)
    for (const notice of run.notices ?? []) lines.push(paint('yellow', fit(`  ${safe(notice)}`, width)))
  for (const wait of run.waiting ?? []) lines.push(paint('yellow', fit(`  ${waitText(wait, now)}`, width)))
  if (run.stream !== undefined) lines.push(fit(`  ${streamInWords(run.stream, now)}`, width))
  const cause = run.firstError?.error ?? null
  if (cause !== null) lines.push(paint('red', fit(`  ${safe(cause)}`, width)))
  for (const op of OPS) {
    const counts = run.triggers[op]
    if (counts === undefined || counts.detected === 0) continue
    const done = counts.delivered + counts.rejected + counts.unknown + counts.unsent
    const filled = Math.max(0, Math.min(BAR_WIDTH, Math.floor((done / counts.detected) * BAR_WIDTH)))
    const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`
    const failed = done - counts.delivered
    const progress = `${number(done)} of ${counted(counts.detected, 'row')}, ${counted(counts.requests, 'request')}`
    const line = fit(`  ${op.padEnd(7)} ${bar} ${progress}`, width)
    const note = failed > 0 ? fit(`  ${number(failed)} not delivered`, Math.max(0, width - line.length)) : ''
    lines.push(line + (note.length > 1 ? paint('yellow', note) : ''))
  }
  return lines
}

function phase(run: RunView): string {
  if (run.status === 'queued') return 'waiting to start'
  if (run.restoring !== undefined) return restoringText(run.restoring)
  if (run.stream !== undefined)
    return run.stream.comparing === null ? 'streaming' : 'comparing the whole table'
  const detected = OPS.reduce((sum, op) => sum + (run.triggers[op]?.detected ?? 0), 0)
  if (detected > 0) return ['sending', ...howFast(run)].join('  ')
  return run.rowsRead > 0 ? `${counted(run.rowsRead, 'row')} read, looking for changes` : 'reading the model'
}

/** For example `25 %`, `80 rows/s, 12 failed`, `about 3 min left`, as far as it is known. */
function howFast({ progress, throughput }: RunView): readonly string[] {
  const left = progress?.remainingSeconds ?? null
  const failing = Math.round(throughput?.failedPerSecond ?? 0)
  return [
    ...(progress === undefined ? [] : [`${Math.floor(progress.percent)} %`]),
    ...(throughput === undefined
      ? []
      : [
          `${number(Math.round(throughput.deliveredPerSecond))} rows/s${failing === 0 ? '' : `, ${number(failing)} failed`}`,
        ]),
    ...(left === null || left === 0 ? [] : [`about ${elapsed(left * 1_000).replace('.0 s', ' s')} left`]),
  ]
}

function restoringText({ why, records, of }: NonNullable<RunView['restoring']>): string {
  const what = why === null ? 'bringing the delivered state up to date' : 'rebuilding the delivered state'
  return `${what}: ${number(records)} of ${counted(of, 'record')}`
}

function plainProgress(stderr: TextSink, now: () => number): RunProgress {
  let begun = false
  let ended = false
  /** The subject of the last line. */
  let lastSubject: string | null = null
  let lastAt = 0
  return {
    update(run) {
      const at = now()
      const line = plainLine(run)
      if (!begun) {
        begun = true
        lastAt = at
        stderr.write(`run ${safe(run.id)} of ${safe(run.sync)}\n`)
      }
      if (line === null || (lastSubject === line.subject && Math.abs(at - lastAt) < PLAIN_EVERY_MS)) return
      lastSubject = line.subject
      lastAt = at
      stderr.write(`${line.text}\n`)
    },
    ending() {
      if (!ended) stderr.write(`${ENDING}\n`)
    },
    end() {
      ended = true
    },
  }
}

interface PlainLine {
  /** The subject. A line with another subject than the last one is printed at once. */
  readonly subject: string
  readonly text: string
}

/** `added 20/400, removed 0/1`, or how far the delivered state has come. Null while neither is known. */
function plainLine(run: RunView): PlainLine | null {
  const { restoring } = run
  const isQuiet = run.status === 'queued' && run.waiting === undefined
  const [notice] = isQuiet ? (run.notices ?? []) : []
  if (notice !== undefined) return { subject: 'the queue', text: safe(notice) }
  if (restoring !== undefined) {
    const why = restoring.why === null ? '' : ` (${safe(restoring.why)})`
    return { subject: 'the state', text: `${restoringText(restoring)}${why}` }
  }
  const parts = OPS.flatMap(op => {
    const counts = run.triggers[op]
    if (counts === undefined || counts.detected === 0) return []
    const done = counts.delivered + counts.rejected + counts.unknown + counts.unsent
    return [`${op} ${number(done)}/${number(counts.detected)}`]
  })
  const waiting = (run.waiting ?? []).map(({ detail }) => safe(detail)).join('; ')
  if (parts.length === 0) return waiting === '' ? null : { subject: waiting, text: waiting }
  return { subject: `rows ${waiting}`, text: `${parts.join(', ')}${waiting === '' ? '' : ` (${waiting})`}` }
}
