/** The facts about a sync with which its alerts are evaluated. */
import { isoTime } from '@sluice/domain/iso-time'
import type { DestinationHealth } from '@sluice/contracts/views/destination-health'
import type { NoticeRun } from '@sluice/contracts/specs/alert-views'
import type { RunEvent } from '@sluice/contracts/records'
import { detectedRows, totalOf, undeliveredRows } from '@sluice/domain/counts'
import { changeOf } from '@sluice/domain/held/delivered-to'
import { isEnded } from '@sluice/domain/run-status'
import { isNoTokenError } from '@sluice/oauth/login'
import { isOfStream, streamMinutes } from '@sluice/domain/stream-minutes'
import { lastShown } from '@sluice/runs/machine/shown-certificates'
import type { SyncRuns } from '@sluice/runs/runs-view'

/** A certificate that a destination's connections depend on. */
export interface CertificateFact {
  readonly destination: string
  /** The certificate as people call it: `the client certificate`, `the server's certificate`. */
  readonly what: string
  /** Ms since 1970. */
  readonly expiresAt: number
}

export interface EndedRun {
  readonly id: string
  /** The run's number within the sync; null if the run never began. */
  readonly number: number | null
  readonly status: 'success' | 'warning' | 'failed' | 'cancelled'
  /** Null if the run never began. */
  readonly startedAt: number | null
  readonly endedAt: number
  readonly error: string | null
  /** True for an hour of a stream. */
  readonly isOfStream: boolean
  /** The number of requests that the run sent. */
  readonly requests: number
  readonly figures: NoticeRun
}

export interface StreamLag {
  readonly lagMs: number | null
  readonly lagRecords: number | null
  /**
   * Its last minutes, also those of the run before, the oldest first. `lagMs` is the lag at the end of one.
   */
  readonly minutes: readonly { readonly at: number; readonly lagMs: number | null }[]
}

export interface SyncFacts {
  readonly sync: string
  /** True if its schedule starts no run. */
  readonly paused: boolean
  /** The runs that ended, in the order of their ends. */
  readonly ended: readonly EndedRun[]
  readonly running: {
    readonly startedAt: number
    readonly isOfStream: boolean
    /** The reasons why the run sends nothing. */
    readonly waits: readonly string[]
    readonly figures: NoticeRun
  } | null
  /** The lag of a stream that is at work; null if none is. */
  readonly stream: StreamLag | null
  readonly held: {
    readonly removed: number
    readonly rows: number
    /** The two addresses, if the run is held for its destination. */
    readonly changed: string | null
    readonly figures: NoticeRun
  } | null
  /** The certificates of the sync's destination. */
  readonly certificates: readonly CertificateFact[]
  /**
   * The health of the sync's destination. Null if no condition of the alert needs it, or if the alert reports
   * this destination under another of its syncs.
   */
  readonly destination: { readonly name: string; readonly health: DestinationHealth } | null
  /** Why the destination refused the credentials, or why there were none, by run id. */
  readonly refusals: ReadonlyMap<string, string>
}

/**
 * Returns the facts that `runs` shows. A reset says nothing about the health of a sync, so it is left out.
 */
export function factsOfRuns(
  sync: string,
  runs: SyncRuns | undefined,
): Pick<SyncFacts, 'sync' | 'ended' | 'running' | 'stream' | 'held'> {
  const events = [...(runs?.events.values() ?? [])].filter(({ cause }) => cause !== 'reset')
  const ended = events
    .flatMap(event => {
      const run = endedRun(event)
      return run === null ? [] : [run]
    })
    .sort((a, b) => a.endedAt - b.endedAt || (a.id < b.id ? -1 : 1))
  const running = events.find(({ status, startedAt }) => status === 'running' && startedAt !== null)
  const held = events.find(({ status }) => status === 'held')
  return {
    sync,
    ended,
    running:
      running === undefined
        ? null
        : {
            startedAt: running.startedAt ?? 0,
            isOfStream: isOfStream(running),
            waits: waitsOf(running, runs),
            figures: figuresOf(running),
          },
    stream: running === undefined ? null : streamLag(running, events),
    held: held === undefined ? null : heldFacts(held),
  }
}

function streamLag({ stream }: RunEvent, events: readonly RunEvent[]): StreamLag | null {
  if (stream === null || stream === undefined) return null
  const { lagMs, lagRecords } = stream
  return { lagMs, lagRecords, minutes: streamMinutes(events) }
}

function heldFacts(event: RunEvent): NonNullable<SyncFacts['held']> {
  const { removed = 0, rows = 0, destination = null } = event.held ?? {}
  return { removed, rows, changed: destination && changeOf(destination), figures: figuresOf(event) }
}

/** Returns the certificates of the last run that opened connections. */
export function shownCertificates(runs: SyncRuns | undefined, destination: string): CertificateFact[] {
  return lastShown(runs?.events.values() ?? []).map(({ side, subject, expiresAt }) => {
    return { destination, what: `the certificate of the ${side} (${subject})`, expiresAt }
  })
}

/** The reason why a run waits for a token; null if it does not. */
export function noTokenOf(waits: readonly string[]): string | null {
  return waits.find(isNoTokenError) ?? null
}

function endedRun(event: RunEvent): EndedRun | null {
  const { runId: id, run: number, status, startedAt, endedAt, error, counts } = event
  if (!isEnded(status) || endedAt === null) return null
  if (status === 'queued' || status === 'running' || status === 'held') return null
  const requests = totalOf(counts, 'requests')
  const own = { id, number, status, startedAt, endedAt, error, requests }
  return { ...own, isOfStream: isOfStream(event), figures: figuresOf(event) }
}

function waitsOf(event: RunEvent, runs: SyncRuns | undefined): string[] {
  return [...(runs?.reports.values() ?? [])].flatMap(({ run, ended, waits }) =>
    run === event.run && !ended ? (waits ?? []).map(({ detail }) => detail) : [],
  )
}

function figuresOf({ runId: id, status, startedAt, endedAt, rowsInvalid, counts }: RunEvent): NoticeRun {
  const delivered = totalOf(counts, 'delivered')
  const sum = { detected: detectedRows(counts), delivered, notDelivered: undeliveredRows(counts) }
  return { id, status, startedAt: isoTime(startedAt), endedAt: isoTime(endedAt), ...sum, rowsInvalid }
}
