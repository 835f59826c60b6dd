/**
 * Lets a stage into a partition. A partition at which processes die, one after the other, is parked: the
 * stage waits, longer each time, and then takes parked partitions one at a time (PROTOCOL.md §11).
 */
import type { RunEvent } from '@sluice/contracts/records'
import type { DeathsOfRun } from '@sluice/contracts/runs/run-times'
import { SluiceError } from '@sluice/contracts/errors'
import type { Wait } from '@sluice/contracts/runs/waits'
import { RecentMap } from '@sluice/flow/recent-map'
import { Slots } from '@sluice/flow/slots'
import { sleep } from '@sluice/flow/sleep'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { isParked, parkedUntil } from '@sluice/runs/machine/parking'
import { openRun, type RunsView } from '@sluice/runs/runs-view'
import type { Logger } from '@sluice/runtime/logger'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, homePartition, syncTopics } from '@sluice/topics/topics'
import type { Figures } from '../figures.ts'
import { reportSetAside, reportWaits } from '../report-set-aside.ts'
import { countedBeforehand, deathsIn, withoutOwn } from './count-deaths.ts'
import { findOwner, hasWork } from './find-owner.ts'

const LONGEST_LOOK_MS = 60_000

/** What all partitions of a stage in one process share. */
export interface Suspects {
  /** Limits how many parked partitions are worked on at once, since one may end the process. */
  readonly slots: Slots
  /** The takeover markers of this process, by topic and partition. Their owner has not died. */
  readonly own: RecentMap<string, number>
}

/** A suspect that has come no further by then mostly waits, and must not hold up the next one. */
const OVERDUE_MS = 10_000
const MARKERS_KEPT = 10_000

export function newSuspects(): Suspects {
  return {
    slots: new Slots({ most: 1, overdueMs: OVERDUE_MS }),
    own: new RecentMap({ limit: MARKERS_KEPT }),
  }
}

export interface EntryDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly logger: Pick<Logger, 'error'>
  readonly figures?: Figures | undefined
  readonly runs: RunsView
  readonly prefix: string
  readonly suspects: Suspects
}

export interface EntryOf {
  readonly stage: 'requests' | 'attempts'
  /** The topic that the stage reads. */
  readonly reads: 'changes' | 'requests'
  readonly run: RunEvent
  readonly partition: number
}

/** What the takeover marker of an owner says, and what its owner tells of itself. */
export interface Entry {
  readonly deaths: DeathsOfRun
  readonly position: number
  /** The marker stands at this offset. */
  took(target: TopicPartition, marker: number): void
  /** The position has moved: this partition is no suspect any more. */
  cameFurther(): void
  /**
   * What a marker is to count that takes back the death of its owner; null if there is nothing to take back.
   */
  leaves(): DeathsOfRun | null
}

/**
 * Waits until the stage may take the partition over. The entry lasts until the work is over. Rejects as the
 * log does, and with the reason of the signal.
 */
export async function enter(
  deps: EntryDeps,
  of: EntryOf,
  options: { readonly signal: AbortSignal },
): Promise<Entry & Disposable> {
  const { log, io, prefix, suspects, runs } = deps
  const { stage, reads, partition } = of
  const { sync, incarnation } = of.run
  const topics = syncTopics(prefix, sync)
  const target = at(topics[stage], partition)
  const found = await findOwner({ log, io, incarnation, stage, target, ...options })
  const isAlive = found !== null && suspects.own.get(nameOf(target)) === found.marker
  const run = runAtWork(runs, of.run)?.run ?? of.run.run ?? 0
  const position = found?.position ?? -1
  const before = deathsIn(run, found, isAlive)
  const works = before === 0 || (await hasWork({ log, ...options }, at(topics[reads], partition), position))
  const deaths = countedBeforehand(run, { deaths: before, hasWork: works })
  const parked = works && isParked({ deaths: before })
  const place = parked
    ? await waitParked(deps, { ...of, count: before, number: run, since: found?.tookOverAt ?? 0 }, options)
    : null
  let isThrough = false
  const free = (): void => {
    place?.[Symbol.dispose]()
    if (parked && !isThrough) deps.figures?.parked(sync, 0)
    isThrough = true
  }
  return {
    deaths,
    position,
    took: (of, marker) => suspects.own.set(nameOf(of), marker),
    cameFurther: free,
    leaves: () => (isThrough || runAtWork(runs, of.run)?.run !== run ? null : withoutOwn(deaths)),
    [Symbol.dispose]: free,
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

function runAtWork(runs: RunsView, { sync, incarnation }: RunEvent): RunEvent | null {
  const known = runs.of(sync)
  return known?.incarnation === incarnation ? openRun(known) : null
}

/**
 * Waits until the pause is over that began with the last owner, and then for its turn. Who watches the run
 * sees that. Where somebody cancels the run meanwhile, the run ends here, and nobody touches its records.
 */
async function waitParked(
  deps: EntryDeps,
  of: EntryOf & { readonly count: number; readonly number: number; readonly since: number },
  { signal }: { readonly signal: AbortSignal },
): Promise<Disposable> {
  const { logger, figures, runs, suspects } = deps
  const { stage, run, partition, count, number, since } = of
  const { sync, incarnation } = run
  const place = { sync, incarnation, partition }
  const why = `the sync is parked, since ${count} processes in a row died ${AT_WORK[stage]}`
  const until = parkedUntil({ deaths: count, lastEndedAt: since }, Date.now())
  const told = until === null ? undefined : new Date(until).toISOString()
  logger.error({ sync, partition, stage, deaths: count, until: told }, why)
  figures?.parked(sync, count)
  const wait: Wait = { kind: 'parked', since: Date.now(), until, detail: why }
  await reportWaits(deps, { ...place, waits: [wait] }, { signal })
  for (;;) {
    const seen = runs.changes.version
    const now = Date.now()
    const open = runAtWork(runs, run)
    const ends = parkedUntil({ deaths: count, lastEndedAt: since }, now)
    if (ends === null || open?.run !== number) break
    // A report of progress hides what was asked before, and a successor in delivery then never saw it.
    if (open.cancelling && !isToldToEnd(runs, { ...place, number })) {
      const error = new SluiceError('internal', why)
      await reportSetAside(deps, { ...place, stage, error }, { signal })
      await runs.caughtUp(homePartition(sync), { signal })
    }
    await untilChanged(runs, { seen, forMs: Math.min(ends - now, LONGEST_LOOK_MS) }, signal)
  }
  const alone = await suspects.slots.take({ signal })
  await reportWaits(deps, { ...place, waits: [] }, { signal })
  return alone
}

/** True if `runs` says that the partition's part of this run is over, or is to end. */
function isToldToEnd(
  runs: RunsView,
  of: { readonly sync: string; readonly partition: number; readonly number: number },
): boolean {
  const report = runs.of(of.sync)?.reports.get(of.partition)
  return report?.run === of.number && (report.ended || report.faultedFrom !== null)
}

const AT_WORK = {
  requests: 'while they rendered its changes',
  attempts: 'while they delivered its requests',
} as const

/** Waits for so long, or until the view has changed. */
async function untilChanged(
  runs: RunsView,
  { seen, forMs }: { readonly seen: number; readonly forMs: number },
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController()
  const waits = { signal: AbortSignal.any([signal, over.signal]) }
  const changed = runs.changes.after(seen, waits).catch(() => undefined)
  await Promise.race([sleep(forMs, waits), changed]).catch(() => undefined)
  over.abort(new Error('it is looked at again'))
  await changed
  signal.throwIfAborted()
}
