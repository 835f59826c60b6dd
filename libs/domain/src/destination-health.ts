/**
 * Judges the health of a destination. Pages, commands, metrics and alerts all show this one verdict.
 *
 * The evidence comes from the last five minutes in which something was sent. So the failure of a nightly sync
 * is still shown in the morning. Evidence that is older than a day does not count.
 */
import type { Wait } from '@sluice/contracts/records'
import type { DestinationHealth } from '@sluice/contracts/views/destination-health'
import type { DestinationState } from '@sluice/contracts/views/destination-states'
import { isoTime } from './iso-time.ts'
import type { Credentials } from './refused-credentials.ts'

/** From this share of failed attempts, or of rejected rows, the destination fails. */
const FAILING_SHARE = 0.5
const DEGRADED_SHARE = 0.05
/** Fewer rejected requests are more likely the fault of their rows. */
const MIN_REJECTED = 3
export const JUDGED_MS = 5 * 60_000
/** Older attempts say nothing about the present. */
const RECENT_MS = 24 * 3_600_000
/** The limits forget a breaker after this time, if nothing is sent. */
const BREAKER_MS = 3_600_000

/** The number of attempts, by their ends. */
export interface AttemptSums {
  readonly delivered: number
  readonly throttled: number
  /** By kind, such as `HTTP 422`. */
  readonly errors: ReadonlyMap<string, number>
  /** Rows of answered attempts. */
  readonly rowsDelivered: number
  readonly rowsRejected: number
  /**
   * The number of failed attempts with rows that the API had rejected in an earlier run, while other rows
   * arrived. They say nothing new, so they count by their rows alone. Default 0.
   */
  readonly repeated?: number
}

/** A reason for which nothing can be sent. */
export interface Unusable {
  readonly reason: string
  readonly fix: DestinationHealth['fix']
}

export interface DestinationFacts {
  /** The credentials that its requests carry; null if it names none. */
  readonly credentials: Credentials | null
  /**
   * The reason why nothing can be sent, as the process that judges sees it; null if it sees nothing wrong.
   */
  readonly unusable: Unusable | null
  /** The waits of runs that send there now. */
  readonly waits: readonly Pick<Wait, 'kind' | 'detail' | 'until'>[]
  /** The reason why the rest of the last run was not sent. `at` is in ms since 1970. */
  readonly stopped: {
    readonly by: 'breaker' | 'unusable'
    readonly detail: string
    readonly at: number
  } | null
  /** The last five minutes with attempts. */
  readonly sums: AttemptSums
  /** In ms since 1970; null if no attempt is known. */
  readonly lastAttemptAt: number | null
  /** True if a run has ever sent something. */
  readonly wasUsed: boolean
}

/**
 * Turns the error of a process that tried a destination into the reason why it cannot be used. A command in
 * the error becomes `fix`, so that pages can offer a button instead.
 */
export function unusableBy(error: string): Unusable {
  const [, secret] = /^The secret `([^`]+)` is not set: /.exec(error) ?? []
  if (secret !== undefined)
    return { reason: `The secret \`${secret}\` is not set.`, fix: { act: 'set-secret', name: secret } }
  const [whole, destination = ''] = /[:.] `sluice auth ([^` ]+)` logs in[^.]*\.$/.exec(error) ?? []
  if (whole !== undefined)
    return {
      reason: sentence(error.slice(0, -whole.length)),
      fix: { act: 'log-in', name: destination },
    }
  return { reason: sentence(error), fix: null }
}

/** Returns the kind of a failed attempt. It contains no text of the answer. */
export function kindOfFailure(status: number | null, error: string | null): string {
  if (status !== null) return `HTTP ${status}`
  const [code] = /\bE[A-Z_]{4,}\b/.exec(error ?? '') ?? []
  if (code !== undefined) return code
  if (/^no answer within /.test(error ?? '')) return 'time-out'
  return /certificate|\bTLS\b|\bSSL\b/i.test(error ?? '') ? 'TLS' : 'no answer'
}

/**
 * Says in words what a destination does that fails so, as in `refuses connections (ECONNREFUSED
 * 10.0.0.1:443)`. It quotes no answer.
 */
export function failureInWords(status: number | null, error: string | null): string {
  if (status !== null) return `answers HTTP ${status}`
  const kind = kindOfFailure(status, error)
  const [place] = new RegExp(`\\b${kind} [\\w.:[\\]-]+`).exec(error ?? '') ?? [kind]
  switch (kind) {
    case 'time-out':
      return 'does not answer in time'
    case 'TLS':
      return 'cannot be reached over TLS'
    case 'no answer':
      return 'breaks the connection without an answer'
    case 'ECONNREFUSED':
      return `refuses connections (${place})`
    case 'ENOTFOUND':
      return `has no address (${place})`
    case 'ECONNRESET':
      return `breaks connections (${place})`
    default:
      return `cannot be reached (${place})`
  }
}

/** `now` is in ms since 1970. */
export function destinationHealthOf(facts: DestinationFacts, now: number): DestinationHealth {
  const lastAttemptAt = isoTime(facts.lastAttemptAt)
  const { state, reason, until = null, fix = null } = withCredentials(verdict(facts, now), facts)
  return { state, reason, until: isoTime(until), fix, lastAttemptAt }
}

interface Verdict {
  readonly state: DestinationState
  readonly reason: string
  readonly until?: number | null
  readonly fix?: DestinationHealth['fix']
}

const BAD: ReadonlySet<DestinationState> = new Set(['failing', 'breaker-open'])
/** As `failureInWords` and `failedText` put it. */
const REFUSES = /\bHTTP 40[13]\b/

/** Names the credentials of a destination that refuses them, with the act that replaces them. */
function withCredentials(found: Verdict, { credentials }: DestinationFacts): Verdict {
  const { state, reason, fix = null } = found
  if (credentials === null || fix !== null || !BAD.has(state) || !REFUSES.test(reason)) return found
  return { ...found, reason: `${reason} ${credentials.text}`, fix: credentials.fix }
}

function verdict(facts: DestinationFacts, now: number): Verdict {
  const { unusable, waits, stopped, lastAttemptAt, wasUsed } = facts
  if (unusable !== null) return { state: 'unusable', ...unusable }
  const waitFor = (...kinds: readonly Wait['kind'][]) => waits.find(({ kind }) => kinds.includes(kind))
  const breaker = waitFor('breaker')
  if (breaker !== undefined)
    return { state: 'breaker-open', reason: sentence(breaker.detail), until: breaker.until }
  const means = waitFor('secret', 'token')
  if (means !== undefined) return { state: 'unusable', ...unusableBy(means.detail) }
  const throttled = waitFor('throttled')
  if (throttled !== undefined)
    return { state: 'paused', reason: sentence(throttled.detail), until: throttled.until }
  if (stopped?.by === 'unusable') return { state: 'unusable', ...unusableBy(stopped.detail) }
  if (stopped?.by === 'breaker' && now - stopped.at < BREAKER_MS)
    return { state: 'breaker-open', reason: sentence(stopped.detail) }
  if (lastAttemptAt === null)
    return wasUsed
      ? { state: 'idle', reason: 'No attempt of the last hour of sending is known.' }
      : { state: 'unused', reason: 'No request was sent to it yet.' }
  if (now - lastAttemptAt > RECENT_MS)
    return { state: 'idle', reason: 'No request was sent to it for a day.' }
  return bySums(facts.sums)
}

/** Returns the state by the attempts alone. */
export function bySums(sums: AttemptSums): Verdict {
  const { repeated = 0 } = sums
  const failed = [...sums.errors.values()].reduce((sum, count) => sum + count, 0) - repeated
  const all = failed + sums.delivered
  const rows = sums.rowsDelivered + sums.rowsRejected
  const share = Math.max(all === 0 ? 0 : failed / all, rows === 0 ? 0 : sums.rowsRejected / rows)
  if (share < DEGRADED_SHARE)
    return { state: 'healthy', reason: repeated > 0 ? rejectedText(sums) : healthyText(all, failed) }
  const mayBeRows = [...sums.errors].every(([kind]) => isOfRejection(kind)) && failed < MIN_REJECTED
  const isFailing = share >= FAILING_SHARE && (!mayBeRows || sums.rowsRejected >= MIN_REJECTED)
  return { state: isFailing ? 'failing' : 'degraded', reason: failedText(sums, failed, all) }
}

/** True for an answer that rejects one request, and need not reject others. */
export function isOfRejection(kind: string): boolean {
  return /^HTTP (2\d\d|4(?!01|03|07|08)\d\d)$/.test(kind)
}

function healthyText(all: number, failed: number): string {
  if (all === 0) return 'The API asked for pauses, and rejected nothing.'
  if (failed === 0) return all === 1 ? 'The last request arrived.' : `The last ${all} requests arrived.`
  return `${all - failed} of the last ${all} requests arrived.`
}

/** The number of kinds that a reason names. */
const KINDS_NAMED = 3

function rejectedText({ errors, rowsDelivered, rowsRejected }: AttemptSums): string {
  return `It rejected ${rowsRejected} of the last ${rowsRejected + rowsDelivered} rows${kindsText(errors)}.`
}

function failedText(sums: AttemptSums, failed: number, all: number): string {
  const { errors, rowsDelivered, rowsRejected } = sums
  if (failed === 0 || rowsRejected / (rowsDelivered + rowsRejected) > failed / all) return rejectedText(sums)
  if (failed === all)
    return all === 1
      ? `The last request failed${kindsText(errors)}.`
      : `All of the last ${all} requests failed${kindsText(errors)}.`
  return `${failed} of the last ${all} requests failed${kindsText(errors)}.`
}

function kindsText(errors: AttemptSums['errors']): string {
  const kinds = [...errors].sort(([, a], [, b]) => b - a).slice(0, KINDS_NAMED)
  const [only] = kinds
  if (only === undefined) return ''
  if (errors.size === 1) return `: ${meant(only[0])}`
  return `: ${kinds.map(([kind, count]) => `${kind} (${count})`).join(', ')}${errors.size > KINDS_NAMED ? ' …' : ''}`
}

const MEANINGS: { readonly [kind: string]: string } = {
  'HTTP 401': 'it refuses the credentials',
  'HTTP 403': 'it forbids them',
  ECONNREFUSED: 'nothing listens at its address',
  ENOTFOUND: 'its host has no address',
  ECONNRESET: 'it breaks the connection',
}

function meant(kind: string): string {
  const meaning = MEANINGS[kind]
  return meaning === undefined ? kind : `${kind}, ${meaning}`
}

/** Makes a sentence of a detail, which may begin in lower case and lack the full stop. */
function sentence(detail: string): string {
  const text = `${detail.charAt(0).toUpperCase()}${detail.slice(1)}`
  return /[.!?]$/.test(text) ? text : `${text}.`
}
