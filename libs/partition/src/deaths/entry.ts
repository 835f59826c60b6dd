/**
 * Lets a stage into a partition, and says what its owner has to mind where owners died before (PROTOCOL.md
 * §11). After two deaths in a row the next owner works alone in its process, so that no other one dies with
 * it, and on one row or request at a time. After three it gives up the one at which they died. So no row and
 * no answer ends processes for ever.
 */
import type { RunEvent } from '@sluice/contracts/records'
import type { DeathsOfRun } from '@sluice/contracts/records'
import type { WaitKind } from '@sluice/contracts/run-records'
import { SluiceError } from '@sluice/contracts/errors'
import { RecentMap } from '@sluice/flow/recent-map'
import { Slots } from '@sluice/flow/slots'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { openRun, type RunsView } from '@sluice/runs/runs-view'
import type { Logger } from '@sluice/runtime/logger'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, syncTopics } from '@sluice/topics/topics'
import {
  Care,
  countedBeforehand,
  deathsIn,
  type DyingStage,
  isDeadly,
  isSuspect,
  NO_DEATHS,
  withoutOwn,
} from './count-deaths.ts'
import { findOwner, hasWork } from './find-owner.ts'

/** What all partitions of a stage in one process share. */
export interface Suspects {
  /** Limits how many partitions at which owners died are worked on at once: one may end the process. */
  readonly slots: Slots
  /** The takeover markers of this process, by topic and partition. Their owner has not died. */
  readonly own: RecentMap<string, number>
}

/** A suspect that has come no further by then mostly waits, and must not hold up the next one. */
const OVERDUE_MS = 10_000
const MARKERS_KEPT = 10_000

/** In these waits delivery sends nothing (PROTOCOL.md §6, §8). It tells their end before it sends. */
const IDLE_WAITS: ReadonlySet<WaitKind> = new Set<WaitKind>(['queued', 'secret', 'takeover'])

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
  readonly runs: RunsView
  readonly prefix: string
  readonly suspects: Suspects
}

export interface EntryOf {
  readonly stage: DyingStage
  /** The topic that the stage reads. */
  readonly reads: 'changes' | 'requests'
  readonly run: RunEvent
  readonly partition: number
}

/** What the takeover marker of an owner says, and what its owner tells of itself. */
export interface Entry {
  readonly deaths: DeathsOfRun
  readonly position: number
  /** What the owner minds in this run. */
  careIn(run: number): Care
  /** So many owners before this one died in this run without having come further. */
  diedIn(run: number): number
  /** The marker stands at this offset. */
  took(target: TopicPartition, marker: number): void
  /** The position has moved: this partition is no suspect any more. */
  cameFurther(): void
  /**
   * What a marker is to count that takes back the death of its owner; null if there is nothing to take back.
   */
  leaves(): DeathsOfRun | null
}

/** Owners died even of giving up what is at this place. Concerns the sync alone. */
export class DeadlyPlace extends SluiceError {
  readonly deaths: number

  constructor(message: string, deaths: number) {
    super('corrupt', message)
    this.deaths = deaths
  }
}

/**
 * Waits until the stage may take the partition over. The entry lasts until the work is over. Rejects with
 * `DeadlyPlace` where nobody is to take the partition over in this run, as the log does, and with the reason
 * of the signal.
 */
export async function enter(
  deps: EntryDeps,
  of: EntryOf,
  options: { readonly signal: AbortSignal },
): Promise<Entry & Disposable> {
  const { log, io, prefix, suspects, runs, logger } = deps
  const { stage, reads, partition } = of
  const { sync, incarnation } = of.run
  const topics = syncTopics(prefix, sync)
  const target = at(topics[stage], partition)
  const found = await findOwner({ log, io, incarnation, stage, target, ...options })
  const isAlive = found !== null && suspects.own.get(nameOf(target)) === found.marker
  const run = runAtWork(runs, of.run)?.run ?? of.run.run ?? 0
  const position = found?.position ?? -1
  const before = deathsIn(run, found, isAlive)
  const input = at(topics[reads], partition)
  const isAtWork = !(stage === 'attempts' && waits(runs, { ...of.run, run }, partition))
  const works = before.inARow === 0 || (isAtWork && (await hasWork({ log, ...options }, input, position)))
  const deaths = countedBeforehand(run, before, { hasWork: works })
  const place = works && isSuspect(before) ? await suspects.slots.take(options) : null
  const counted = { ...before, inARow: works ? before.inARow : 0 }
  if (place !== null) {
    const why = `${before.inARow} processes in a row died ${AT_WORK[stage]}`
    logger.error({ sync, partition, stage, deaths: before.inARow, inRun: before.all }, why)
    if (isDeadly(before)) {
      place[Symbol.dispose]()
      throw new DeadlyPlace(`${why}, behind offset ${position - 1} of ${topics[reads]}`, before.all)
    }
  }
  let isThrough = false
  const free = (): void => {
    place?.[Symbol.dispose]()
    isThrough = true
  }
  return {
    deaths,
    position,
    careIn: of => new Care(of === run ? counted : NO_DEATHS, stage),
    diedIn: of => (of === run ? before.all : 0),
    took: (of, marker) => suspects.own.set(nameOf(of), marker),
    cameFurther: free,
    leaves: () => (isThrough || runAtWork(runs, of.run)?.run !== run ? null : withoutOwn(deaths)),
    [Symbol.dispose]: free,
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

/** True if the last owner told that it waits for what others do, and sends nothing meanwhile. */
function waits(runs: RunsView, { sync, incarnation, run }: RunEvent, partition: number): boolean {
  const known = runs.of(sync)
  const last = known?.incarnation === incarnation ? known.reports.get(partition) : undefined
  return last?.run === run && !last.ended && (last.waits ?? []).some(({ kind }) => IDLE_WAITS.has(kind))
}

function runAtWork(runs: RunsView, { sync, incarnation }: RunEvent): RunEvent | null {
  const known = runs.of(sync)
  return known?.incarnation === incarnation ? openRun(known) : null
}

const AT_WORK = {
  requests: 'while they rendered its changes',
  attempts: 'while they delivered its requests',
} as const
