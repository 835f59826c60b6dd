/** Says in words how a run works now, how fast it is, and how long it takes. */
import type { RunView } from '@sluice/contracts/api'
import { count, rows } from '../ui/format.ts'
import { totalsOf } from './totals.ts'

type Phase = NonNullable<RunView['phases']>[number]['phase']

/** While a run waits for one of these, it sends nothing. */
const STOPS: ReadonlySet<string> = new Set(['breaker', 'throttled', 'secret', 'token', 'limits-store'])

/** True for a run that has rows to send, and sends none for the time being. */
export function isStopped({ waiting = [] }: Pick<RunView, 'waiting'>): boolean {
  return waiting.some(({ kind }) => STOPS.has(kind))
}

/** A sentence about the present work of a run that has not ended. */
export function nowInWords(run: RunView): string {
  const { status, restoring, phases = [], rowsRead } = run
  if (status === 'queued') return 'It waits for its turn.'
  if (status === 'held') return 'It waits for approval. Nothing is sent.'
  if (restoring !== undefined)
    return `It ${restoring.why === null ? 'brings the delivered state up to date' : `rebuilds the delivered state (${restoring.why})`}: ${count(restoring.records)} of ${count(restoring.of)} records.`
  const { detected, delivered, failed } = totalsOf(run)
  if (run.stream !== undefined && !isStopped(run)) return streamInWords(run.stream)
  if (detected === 0)
    return rowsRead === 0
      ? 'It reads the model’s rows, and compares them with what was delivered.'
      : `It has read ${rows(rowsRead)}, and compares them with what was delivered.`
  const found = `${rows(detected)} ${detected === 1 ? 'is' : 'are'} to be sent.`
  const isUnderWay = (name: Phase): boolean =>
    phases.some(({ phase, endedAt }) => phase === name && endedAt === null)
  if (isStopped(run)) return `Stopped: nothing is sent now. ${waitingInWords(detected - delivered, failed)}`
  if (phases.some(({ phase }) => phase === 'sending')) return `It sends requests: ${found}`
  if (isUnderWay('rendering')) return `It renders requests: ${found}`
  return `It writes the changes down: ${found}`
}

function streamInWords({ comparing }: NonNullable<RunView['stream']>): string {
  return comparing === null
    ? 'It sends each change of its source as it comes.'
    : `It compares the whole table with what was delivered, since ${comparing}.`
}

/** All rows that are not at the destination wait: those that have failed are tried again by a later run. */
function waitingInWords(waiting: number, failed: number): string {
  const some = failed === 0 ? '' : `, ${count(failed)} of which failed`
  return `${rows(waiting)} ${waiting === 1 ? 'waits' : 'wait'}${some}.`
}

/** For example `80 rows/s delivered, 12 rows/s fail`. Null while the speed is not known. */
export function speedInWords({ throughput }: Pick<RunView, 'throughput'>): string | null {
  if (throughput === undefined) return null
  const { deliveredPerSecond, failedPerSecond } = throughput
  const delivered = `${perSecond(deliveredPerSecond)} delivered`
  return failedPerSecond === 0 ? delivered : `${delivered}, ${perSecond(failedPerSecond)} failed`
}

function perSecond(value: number): string {
  return value > 0 && value < 1 ? 'less than 1 row/s' : `${count(Math.round(value))} rows/s`
}

const MINUTE = 60

/** For example `about 3 min left`. */
export function leftInWords(seconds: number): string {
  if (seconds < MINUTE) return `about ${count(seconds)} s left`
  const minutes = Math.round(seconds / MINUTE)
  if (minutes < 60) return `about ${minutes} min left`
  return `about ${count(Math.floor(minutes / 60))} h ${minutes % 60} min left`
}
