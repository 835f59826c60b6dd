/**
 * Judges what is wrong with a sync, for commands and pages alike. A new run changes the verdict only once it
 * shows something: it delivers, fails or waits. Until then the last run that ended counts.
 */
import type { RefusedRun, RunView, SyncTrouble, SyncView, WaitView } from '@sluice/contracts/api'
import { detectedRows, totalOf, undeliveredRows } from '@sluice/domain/counts'
import { unusableBy } from '@sluice/domain/destination-health'
import { type Credentials, refusesCredentials } from '@sluice/domain/refused-credentials'

/** These waits do not end without a person, or mean that the destination takes nothing. */
const GRAVE: ReadonlySet<string> = new Set(['secret', 'token', 'breaker'])
/** An API may ask for shorter pauses than this all the time. */
const LONG_PAUSE_MS = 60_000

export interface SyncFacts {
  /** The last run and all open runs, the newest first. */
  readonly runs: readonly RunView[]
  /** The last run that ended and shows whether rows arrive. */
  readonly ended: RunView | null
  readonly rows: SyncView['rows']
  readonly refused: RefusedRun | null
  /** The credentials that requests to the destination carry; null if it names none. */
  readonly credentials: Credentials | null
  /** The runs that ended since some row was not delivered. Null if all rows are at the destination. */
  readonly behind: Pick<SyncTrouble, 'since' | 'runs'> | null
  /** Now, in ms since 1970. */
  readonly at: number
}

type Found = Pick<SyncTrouble, 'text' | 'quotesAnswer' | 'source' | 'isFailing' | 'fix'> & {
  readonly run: RunView | null
}

/** Returns null if nothing is wrong with the sync, or nobody needs to know. */
export function troubleOf(facts: SyncFacts): SyncTrouble | null {
  const found = refusedRun(facts) ?? ofOpenRun(facts) ?? ofEndedRun(facts)
  if (found === null) return null
  const { run, ...told } = withCredentials(found, facts)
  const { since, runs } = facts.behind ?? { since: facts.refused?.at ?? run?.startedAt ?? null, runs: 0 }
  return { ...told, run: run?.id ?? null, since, runs }
}

/** Names the credentials if the run delivers nothing because the destination refuses them. */
function withCredentials(found: Found, { credentials }: SyncFacts): Found {
  const { run, text, isFailing, fix } = found
  const { errors = [], firstError } = run ?? {}
  const { status = null } = errors[0] ?? firstError ?? {}
  if (credentials === null || fix !== null || !isFailing || !refusesCredentials(status)) return found
  return { ...found, text: `${text} ${credentials.text}`, fix: credentials.fix }
}

/** A run that was refused later than the last one began. */
function refusedRun({ refused, runs: [last] }: SyncFacts): Found | null {
  if (refused === null || (last?.startedAt ?? '') > refused.at) return null
  const { reason, fix } = unusableBy(refused.error)
  const text = `A run ${refused.by === null ? '' : `of ${refused.by} `}was refused: ${reason}`
  return { run: null, text, isFailing: false, fix }
}

function ofOpenRun({ runs, at }: SyncFacts): Found | null {
  const held = runs.find(({ status }) => status === 'held')
  const run = runs.find(({ status }) => status === 'running')
  if (held !== undefined) return { run: held, text: heldText(held), isFailing: false, fix: null }
  if (run === undefined) return null
  const wait = (run.waiting ?? []).find(each => isGrave(each, at))
  if (wait !== undefined) {
    const { reason, fix } = unusableBy(wait.detail)
    const text = `${reason}${waitingText(run)}${againText(wait, at)}`
    return { run, text, isFailing: GRAVE.has(wait.kind), fix }
  }
  if (run.failing !== true) return null
  const failed = undeliveredRows(run.triggers)
  return {
    ...{ run, isFailing: true, fix: null },
    ...withCause(`Nothing arrives: ${rows(failed)} failed so far`, run),
  }
}

function isGrave({ kind, since, until }: WaitView, at: number): boolean {
  if (GRAVE.has(kind)) return true
  const end = until === null ? at : Math.max(at, Date.parse(until))
  return kind === 'throttled' && end - Date.parse(since) >= LONG_PAUSE_MS
}

/** All rows that are not at the destination wait: those that have failed are tried again by a later run. */
function waitingText({ triggers }: RunView): string {
  const waiting = detectedRows(triggers) - totalOf(triggers, 'delivered')
  const failed = undeliveredRows(triggers)
  if (waiting <= 0) return ''
  const some = failed === 0 ? '' : `, ${number(failed)} of which failed`
  return ` ${rows(waiting)} ${waiting === 1 ? 'waits' : 'wait'}${some}.`
}

/** Returns an empty text once the wait is over: Sluice is trying again then. */
function againText({ kind, until }: WaitView, at: number): string {
  return until === null || kind === 'secret' || Date.parse(until) <= at
    ? ''
    : ` Sluice tries again at ${until}.`
}

function heldText({ held }: RunView): string {
  if (held === undefined) return 'A run waits for approval.'
  if (held.destination !== undefined)
    return `${rows(held.rows)} went to another destination, and a run waits for approval: ${held.destination.why}.`
  return `A run would remove ${number(held.removed)} of ${rows(held.rows)}, and waits for approval.`
}

function ofEndedRun({ runs, ended: run, rows: waiting }: SyncFacts): Found | null {
  const atWork = runs.find(({ status }) => status === 'running')
  if (run === null) return null
  const found = ofRun(run, waiting)
  if (found === null) return null
  // The new run shows that the destination takes rows again.
  if (found.isFailing && atWork !== undefined && totalOf(atWork.triggers, 'delivered') > 0) return null
  // Somebody discarded the rows, or sent them by themselves.
  const isOver = atWork === undefined && waiting.failed + waiting.heldBack === 0
  return isOver && run.status === 'warning' && run.rowsInvalid === 0 ? null : { ...found, run }
}

/** The beginning of an error of a source. */
const OF_SOURCE = /^Source ([^\s:]+): /

function ofRun(run: RunView, waiting: SyncView['rows']): Omit<Found, 'run'> | null {
  const failed = undeliveredRows(run.triggers)
  const were = failed === 1 ? 'was' : 'were'
  if (run.status === 'failed') {
    const { reason, fix } = unusableBy(run.error ?? 'The last run failed.')
    const [, source] = OF_SOURCE.exec(reason) ?? []
    return { text: reason, ...(source === undefined ? {} : { source }), isFailing: true, fix }
  }
  if (run.status === 'cancelled' && failed > 0)
    return {
      text: `A run was cancelled, and ${rows(failed)} ${were} not delivered.`,
      isFailing: false,
      fix: null,
    }
  if (run.status === 'warning' && failed > 0)
    // Some rows may have arrived before the destination began to refuse all requests.
    return {
      ...undelivered(run),
      isFailing: run.failing === true || totalOf(run.triggers, 'unsent') > 0,
      fix: null,
    }
  if (run.status === 'warning') return { text: invalidText(run), isFailing: false, fix: null }
  const { heldBack } = waiting
  if (heldBack === 0) return null
  const text = `${rows(heldBack)} ${heldBack === 1 ? 'waits' : 'wait'} for somebody to decide.`
  return { text, isFailing: false, fix: null }
}

function invalidText({ rowsInvalid, rowsRead, invalidRows: [sample] = [] }: RunView): string {
  const text = `${number(rowsInvalid)} of ${rows(rowsRead)} of the model ${rowsInvalid === 1 ? 'is' : 'are'} invalid`
  if (sample === undefined) return `${text}.`
  const { key, reason } = sample
  const which = key === null ? 'a row without a key' : `row ${key}`
  return `${text}, such as ${which}: ${reason}${/[.!?…]$/.test(reason) ? '' : '.'}`
}

function undelivered(run: RunView): Pick<Found, 'text' | 'quotesAnswer'> {
  const failed = undeliveredRows(run.triggers)
  const whole = run.rowsRead > failed ? `${number(failed)} of ${rows(run.rowsRead)}` : rows(failed)
  if (run.failing === true) return withCause(`Nothing arrives: ${rows(failed)} failed`, run)
  if (totalOf(run.triggers, 'rejected') === failed)
    return withCause(`${whole} ${failed === 1 ? 'is' : 'are'} rejected`, run)
  return withCause(`${whole} ${failed === 1 ? 'was' : 'were'} not delivered`, run)
}

/** Adds the reason of most rows, which may be longer than a first cause such as a broken connection. */
function withCause(text: string, { errors = [], firstError }: RunView): Pick<Found, 'text' | 'quotesAnswer'> {
  const { error = null, status = null } = errors[0] ?? firstError ?? {}
  const cause = error ?? (status === null ? null : `HTTP ${status}`)
  if (cause === null) return { text: `${text}.` }
  const whole = `${text}: ${cause}${/[.!?…]$/.test(cause) ? '' : '.'}`
  return { text: whole, ...(status === null ? {} : { quotesAnswer: true }) }
}

const number = (value: number): string => value.toLocaleString('en')
const rows = (value: number): string => (value === 1 ? '1 row' : `${number(value)} rows`)
