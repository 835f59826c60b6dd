/** A sync as people see it: its resource, and the state of its runs. */
import { type RefusedRun, type RunView, type SyncView, syncView as schema } from '@sluice/contracts/api'
import { sync as syncSchema, type SyncSpec } from '@sluice/contracts/resources'
import type { Credentials } from '@sluice/domain/refused-credentials'
import { isEnded } from '@sluice/domain/run-status'
import { instantsOf } from '@sluice/runs/schedule/instants'
import { z } from 'zod'
import { isoTime } from '@sluice/domain/iso-time'
import type { SyncPast } from '../port.ts'
import { troubleOf } from './trouble-of.ts'

/**
 * `at` is now, in ms since 1970. With `hasFigures`, the view has the counts of the last runs. With `isAtWork:
 * false` no process works on any run, so one that has not ended is interrupted.
 */
export function syncView(
  spec: SyncSpec,
  past: SyncPast,
  {
    at,
    hasFigures,
    runsSchedules = true,
    isAtWork = true,
    refused = null,
    credentials = null,
  }: {
    readonly at: number
    readonly hasFigures: boolean
    readonly runsSchedules?: boolean
    readonly isAtWork?: boolean
    readonly refused?: RefusedRun | null
    readonly credentials?: Credentials | null
  },
): SyncView {
  const { name, title, labels = [], model, destination, paused = false } = spec
  const open = past.runs.filter(({ status }) => !isEnded(status))
  const { schedule, next } = scheduleOf(spec, at)
  const isHeld = open.some(({ status }) => status === 'held')
  const nextAt = paused || isHeld || !runsSchedules ? null : next
  const lastRun = open.find(({ status }) => status === 'running' || status === 'held') ?? past.runs[0]
  const queuedRuns = open.filter(run => run.status === 'queued' && run !== lastRun).length
  const since = isoTime(behindSince(past, at))
  const behind = past.behind === null ? null : { since, runs: past.behind.runs }
  const ended = past.runs.find(({ id }) => id === past.telling) ?? null
  const trouble = troubleOf({ runs: past.runs, ended, rows: past.rows, refused, credentials, behind, at })
  const isSuspendedByDeaths = nextAt !== null && past.pausedUntil !== null
  return {
    ...{ name, ...(title === undefined ? {} : { title }), ...(labels.length === 0 ? {} : { labels }) },
    ...{ model, destination, paused, schedule },
    state: isSuspendedByDeaths ? 'parked' : stateOf(past.runs, { paused, isAtWork }),
    lastRun: lastRun ?? null,
    ...(past.stream === null || spec.schedule !== 'continuous' ? {} : { stream: past.stream }),
    ...(queuedRuns === 0 ? {} : { queuedRuns }),
    ...(trouble === null ? {} : { trouble }),
    nextRunAt: isoTime(nextAt === null ? null : Math.max(nextAt, past.pausedUntil ?? nextAt)),
    waiting: open.flatMap(({ waiting = [] }) => waiting),
    rows: past.rows,
    certificates: past.certificates.map(certificate => {
      return { ...certificate, expiresAt: new Date(certificate.expiresAt).toISOString() }
    }),
    behindSince: since,
    ...(past.delivered === null ? {} : { delivered: past.delivered }),
    ...(refused === null ? {} : { refused }),
    ...(hasFigures ? { runs: [...past.figures] } : {}),
  }
}

/**
 * Returns since when the destination lacks rows. A stream that follows its source knows it by its oldest
 * change.
 */
function behindSince({ behind, stream, rows }: SyncPast, at: number): number | null {
  const isFollowing = stream !== null && stream.comparing === null && rows.failed === 0
  if (!isFollowing) return behind?.since ?? null
  return stream.lagSeconds === null ? null : at - stream.lagSeconds * 1_000
}

interface ShownSchedule extends Pick<SyncView, 'schedule'> {
  /** The next instant, in ms since 1970; null if there is none. */
  readonly next: number | null
  /** This view of the schedule is right from `from` until `until`, in ms since 1970. */
  readonly from: number
  readonly until: number
}

/**
 * The last computed schedule of each sync, since finding the next instant of a cron takes about a
 * millisecond.
 */
const schedules = new WeakMap<SyncSpec, ShownSchedule>()

function scheduleOf(spec: SyncSpec, at: number): ShownSchedule {
  const known = schedules.get(spec)
  if (known !== undefined && known.from <= at && at < known.until) return known
  const next = instantsOf(spec)?.next(at) ?? null
  const schedule = schema.shape.schedule.parse(z.encode(syncSchema.shape.schedule, spec.schedule))
  const found = { schedule, next, from: at, until: next ?? Infinity }
  schedules.set(spec, found)
  return found
}

/** The state of a sync by its runs, which are the newest first. */
function stateOf(
  runs: readonly RunView[],
  { paused, isAtWork }: { readonly paused: boolean; readonly isAtWork: boolean },
): SyncView['state'] {
  const is = (status: RunView['status']): boolean => runs.some(run => run.status === status)
  if (isAtWork && is('running')) return 'running'
  if (is('queued')) return 'queued'
  if (is('held')) return 'held'
  if (runs[0]?.setAside === true) return 'set-aside'
  return paused ? 'paused' : 'idle'
}
