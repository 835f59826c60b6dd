/** Judges each condition of an alert by a run that ended, or by the present. */
import type { AlertCondition } from '@sluice/contracts/specs/alert-specs'
import { DESTINATION_STATES } from '@sluice/contracts/views/destination-states'
import type { NoticeRun } from '@sluice/contracts/specs/alert-views'
import { counted, lasting, percent, timeText } from '../notice/wording.ts'
import { noTokenOf, type EndedRun, type SyncFacts } from './facts.ts'

/** A certificate that expires within this time should be renewed. */
const CERTIFICATE_DAYS = 14
const DAY_MS = 86_400_000
/** A lag that is above its limit for a shorter time is told to nobody. */
const LAGGING_MS = 60_000
const MINUTE_MS = 60_000

/** The steps of an evaluation: the runs in the order of their ends, and then the present. */
export type Step =
  | { readonly kind: 'ended'; readonly run: EndedRun; readonly refusal: string | null }
  | {
      readonly kind: 'now'
      readonly now: number
      readonly facts: SyncFacts
      /** The time of the last success, or the beginning of the watch. */
      readonly quietSince: number
      readonly hadSuccess: boolean
    }

export type Verdict =
  | { readonly kind: 'holds' | 'over'; readonly text: string; readonly run: NoticeRun | null }
  /** The step says nothing, and the condition stays the same. */
  | { readonly kind: 'silent' }

const SILENT: Verdict = { kind: 'silent' }

/** Returns the state of the condition after this step, with the reason. */
export function judge(condition: AlertCondition, step: Step): Verdict {
  if (condition === 'run-failed') return runFailed(step)
  if (condition === 'held') return held(step)
  if (condition === 'certificate-expiring') return certificateExpiring(step)
  if (condition === 'auth-failing') return authFailing(step)
  if (condition === 'destination-failing') return destinationFailing(step)
  if ('rows-failed' in condition) return rowsFailed(condition['rows-failed'].share, step)
  if ('slow' in condition) return slow(condition.slow.longerThan, step)
  if ('lagging' in condition) return lagging(condition.lagging.above, step)
  return silent(condition.silent.noSuccessFor, step)
}

/** Returns the time at which the verdict may change even if nothing happens; null if it never does. */
export function dueAt(condition: AlertCondition, step: Extract<Step, { kind: 'now' }>): number | null {
  const { facts, now, quietSince } = step
  const later = (at: number): number | null => (at > now ? at : null)
  if (condition === 'certificate-expiring') {
    const [first] = facts.certificates.map(({ expiresAt }) => expiresAt).sort((a, b) => a - b)
    return first === undefined ? null : later(first - CERTIFICATE_DAYS * DAY_MS)
  }
  if (typeof condition === 'string') return null
  if ('slow' in condition)
    return facts.running === null || facts.running.isOfStream
      ? null
      : later(facts.running.startedAt + condition.slow.longerThan + 1)
  if ('lagging' in condition) {
    const above = aboveSince(condition.lagging.above, facts.stream)
    return above === null ? null : later(above + LAGGING_MS)
  }
  if (!('silent' in condition) || facts.paused) return null
  return later(quietSince + condition.silent.noSuccessFor)
}

/** True for a run that went through, even if rows failed. */
function wentThrough({ status }: EndedRun): boolean {
  return status === 'success' || status === 'warning'
}

function runFailed(step: Step): Verdict {
  if (step.kind === 'now') return SILENT
  const { run } = step
  if (run.status === 'failed')
    return { kind: 'holds', text: run.error ?? 'No reason is known.', run: run.figures }
  if (!wentThrough(run)) return SILENT
  return { kind: 'over', text: `A run went through again: it ended as ${run.status}.`, run: run.figures }
}

/** Invalid rows count as failed, since they were not delivered either. */
function rowsFailed(share: number, step: Step): Verdict {
  if (step.kind === 'now' || step.run.status === 'cancelled') return SILENT
  const { run } = step
  const { notDelivered, rowsInvalid, detected } = run.figures
  const failed = notDelivered + rowsInvalid
  const rows = detected + rowsInvalid
  if (failed > 0 && failed >= share * rows) {
    const invalid = rowsInvalid === 0 ? '' : ` (${counted(rowsInvalid, 'row')} of these could not be read)`
    return {
      kind: 'holds',
      text: `${failed} of ${counted(rows, 'row')} did not arrive: ${percent(failed, rows)}${invalid}.`,
      run: run.figures,
    }
  }
  if (!wentThrough(run)) return SILENT
  const text =
    failed === 0
      ? 'All rows of a run arrived again.'
      : `Only ${percent(failed, rows)} of the rows of a run did not arrive.`
  return { kind: 'over', text, run: run.figures }
}

function held(step: Step): Verdict {
  if (step.kind === 'ended') return SILENT
  const { held: run } = step.facts
  if (run === null) return { kind: 'over', text: 'No run waits for approval any more.', run: null }
  const why =
    run.changed === null
      ? `A run would remove ${run.removed} of ${counted(run.rows, 'row')} at the destination`
      : `The destination changed: ${run.changed}. A run would send to it though ${counted(run.rows, 'row')} went to the one before`
  return { kind: 'holds', text: `${why}, and waits for approval.`, run: run.figures }
}

function slow(longerThan: number, step: Step): Verdict {
  if (step.kind === 'ended') {
    const { run } = step
    if (run.isOfStream || run.startedAt === null || run.status === 'cancelled') return SILENT
    const took = run.endedAt - run.startedAt
    if (took > longerThan)
      return {
        kind: 'holds',
        text: `A run took ${lasting(took)}, longer than ${lasting(longerThan)}.`,
        run: run.figures,
      }
    if (!wentThrough(run)) return SILENT
    return {
      kind: 'over',
      text: `A run took ${lasting(took)}, not longer than ${lasting(longerThan)}.`,
      run: run.figures,
    }
  }
  const { running } = step.facts
  if (running === null || running.isOfStream || step.now - running.startedAt <= longerThan) return SILENT
  const waits = running.waits.length === 0 ? '' : ` It waits: ${running.waits.join('; ')}.`
  return {
    kind: 'holds',
    text: `A run is under way for longer than ${lasting(longerThan)}.${waits}`,
    run: running.figures,
  }
}

function silent(noSuccessFor: number, step: Step): Verdict {
  if (step.kind === 'ended') return SILENT
  const { now, quietSince, hadSuccess } = step
  if (step.facts.paused)
    return { kind: 'over', text: 'The sync is paused, so the alert expects no run.', run: null }
  if (now - quietSince < noSuccessFor)
    return {
      kind: 'over',
      text: 'A run ended as success again.',
      run: step.facts.ended.findLast(({ status }) => status === 'success')?.figures ?? null,
    }
  const last = hadSuccess ? `the last one ended at ${timeText(quietSince)}` : 'none was seen so far'
  return {
    kind: 'holds',
    text: `No run ended as success for ${lasting(noSuccessFor)}: ${last}.`,
    run: step.facts.ended.at(-1)?.figures ?? null,
  }
}

/**
 * The lag of a stream. Its runs show it at the end of each minute. A stream that is stopped by a failure has
 * no lag, and another condition tells of it.
 */
function lagging(above: number, step: Step): Verdict {
  if (step.kind === 'ended') return SILENT
  const { now, facts } = step
  if (facts.paused)
    return { kind: 'over', text: 'The sync is paused, so its stream stands still.', run: null }
  const { running, stream } = facts
  if (stream === null || running === null) return SILENT
  const since = aboveSince(above, stream)
  if (since === null) {
    const text = `The stream is behind its source by less than ${lasting(above)}.`
    return { kind: 'over', text, run: running.figures }
  }
  if (now - since < LAGGING_MS) return SILENT
  const records = stream.lagRecords === null ? '' : `, ${counted(stream.lagRecords, 'record')}`
  const waits = running.waits.length === 0 ? '' : ` It waits: ${running.waits.join('; ')}.`
  const text = `The stream is behind its source by ${lasting(stream.lagMs ?? 0)}${records}.${waits}`
  return { kind: 'holds', text, run: running.figures }
}

/** Returns the time from which on the lag has been above the limit, in ms since 1970; null if it is not. */
function aboveSince(above: number, stream: SyncFacts['stream']): number | null {
  if (stream === null || (stream.lagMs ?? 0) <= above) return null
  const { minutes } = stream
  const below = minutes.findLastIndex(({ lagMs }) => (lagMs ?? 0) <= above)
  const first = minutes[below + 1] ?? minutes.at(-1)
  return first === undefined ? null : first.at + MINUTE_MS
}

function certificateExpiring(step: Step): Verdict {
  if (step.kind === 'ended') return SILENT
  const { now, facts } = step
  const soon = facts.certificates
    .filter(({ expiresAt }) => expiresAt - now <= CERTIFICATE_DAYS * DAY_MS)
    .sort((a, b) => a.expiresAt - b.expiresAt)
  if (soon.length === 0) return { kind: 'over', text: 'No certificate expires soon any more.', run: null }
  const each = soon.map(({ what, destination, expiresAt }) => {
    const when = expiresAt <= now ? 'expired at' : 'expires at'
    return `${what} of the destination \`${destination}\` ${when} ${timeText(expiresAt)}`
  })
  const text = each.join('; ')
  return { kind: 'holds', text: `${text.charAt(0).toUpperCase()}${text.slice(1)}.`, run: null }
}

function authFailing(step: Step): Verdict {
  if (step.kind === 'now') {
    const { running } = step.facts
    const why = noTokenOf(running?.waits ?? [])
    return why === null ? SILENT : { kind: 'holds', text: why, run: running?.figures ?? null }
  }
  const { run, refusal } = step
  if (refusal !== null) return { kind: 'holds', text: refusal, run: run.figures }
  // Only a run that sent a request shows that the credentials work.
  if (!wentThrough(run) || run.requests === 0) return SILENT
  return { kind: 'over', text: 'The destination takes the credentials again.', run: run.figures }
}

/** A paused destination, or one without recent attempts, does not change the condition. */
function destinationFailing(step: Step): Verdict {
  if (step.kind === 'ended' || step.facts.destination === null) return SILENT
  const { name, health } = step.facts.destination
  const { state, reason } = health
  if (DESTINATION_STATES[state].tone === 'bad')
    return { kind: 'holds', text: `The destination \`${name}\`: ${reason}`, run: null }
  if (state !== 'healthy' && state !== 'degraded') return SILENT
  return { kind: 'over', text: `The destination \`${name}\`: ${reason}`, run: null }
}
