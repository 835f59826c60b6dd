/**
 * Lets a stage take over a partition, and gives its owner precautions where owners died before (PROTOCOL.md
 * §11). After two deaths in a row the next owner works alone in its process, so that no other owner dies with
 * it, and on one row or request at a time. After three deaths, the owner gives up the row or request at which
 * they died. So no row and no answer ends processes for ever.
 */
import type { DeathsOfRun, RunEvent, WaitKind } from '@sluice/contracts/records'
import { SluiceError } from '@sluice/contracts/errors'
import { RecentMap } from '@sluice/flow/recent-map'
import { Slots } from '@sluice/flow/slots'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { runAtWork, type RunsView } from '@sluice/runs/runs-view'
import type { Logger } from '@sluice/runtime/logger'
import type { RecordIo, Typed } from '@sluice/topics/record-io'
import { at, isMarkerKey, keyText, nameOf, syncTopics } from '@sluice/topics/topics'
import {
  isTakeover,
  markerOf,
  readOwnBackwards,
  ownRecordAt,
  type OwnRecord,
} from '@sluice/topics/owned-reader'
import {
  areTooMany,
  Precautions,
  countedBeforehand,
  deathsIn,
  type DyingStage,
  isSuspect,
  type LastOwner,
  NO_DEATHS,
  withoutOwn,
} from './count-deaths.ts'

/** The state that all partitions of a stage in one process share. */
export interface Suspects {
  /**
   * Limits how many partitions at which owners died are worked on at once, since each of them may end the
   * process.
   */
  readonly slots: Slots
  /** The takeover markers of this process, by topic and partition. Their owner has not died. */
  readonly own: RecentMap<string, number>
}

/** A suspect that is no further after this time mostly waits, and must not hold up the next one. */
const OVERDUE_MS = 10_000
const MAX_MARKERS = 10_000
/** The first record of the input that is no takeover marker is enough to read. */
const LOOK_BYTES = 64 * 1024

/** In these waits delivery sends nothing (PROTOCOL.md §6, §8). It reports their end before it sends. */
const IDLE_WAITS: ReadonlySet<WaitKind> = new Set<WaitKind>(['queued', 'secret', 'takeover'])

export function newSuspects(): Suspects {
  return {
    slots: new Slots({ most: 1, overdueMs: OVERDUE_MS }),
    own: new RecentMap({ limit: MAX_MARKERS }),
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

export interface EntryPlace {
  readonly stage: DyingStage
  /** The topic that the stage reads. */
  readonly reads: 'changes' | 'requests'
  readonly run: RunEvent
  readonly partition: number
}

/** The counts for the takeover marker of an owner, and the precautions of that owner. */
export interface Entry {
  readonly deaths: DeathsOfRun
  readonly position: number
  /** The precautions of the owner in this run. */
  precautionsIn(run: number): Precautions
  /** The number of owners before this one that died in this run without having come further. */
  diedIn(run: number): number
  /** The owner has written its marker at this offset. */
  took(target: TopicPartition, marker: number): void
  /** The position has moved, so this partition is no suspect any more. */
  cameFurther(): void
  /**
   * Returns the counts for a marker that takes back the death of its owner; null if there is nothing to take
   * back.
   */
  leaves(): DeathsOfRun | null
}

/** Too many owners died in a run, so no further owner works on it. This concerns the sync alone. */
export class DeadlyPlace extends SluiceError {
  readonly deaths: number

  constructor(message: string, deaths: number) {
    super('corrupt', message)
    this.deaths = deaths
  }
}

/**
 * Waits until the stage may take the partition over. The caller disposes the entry when its work is over.
 * Rejects with `DeadlyPlace` if too many owners died in this run, with the errors of the log, and with the
 * reason of the signal.
 */
export async function enter(
  deps: EntryDeps,
  place: EntryPlace,
  options: { readonly signal: AbortSignal },
): Promise<Entry & Disposable> {
  const { log, io, prefix, suspects, runs, logger } = deps
  const { stage, reads, partition } = place
  const { sync, incarnation } = place.run
  const topics = syncTopics(prefix, sync)
  const target = at(topics[stage], partition)
  const found = await findOwner({ log, io, incarnation, stage, target, ...options })
  const isAlive = found !== null && suspects.own.get(nameOf(target)) === found.marker
  const run = incarnationsRun(runs, place.run)?.run ?? place.run.run ?? 0
  const position = found?.position ?? -1
  const before = deathsIn(run, found, isAlive)
  const input = at(topics[reads], partition)
  const isAtWork = !(stage === 'attempts' && isIdle(runs, { ...place.run, run }, partition))
  const works = before.inARow === 0 || (isAtWork && (await hasWork({ log, ...options }, input, position)))
  const deaths = countedBeforehand(run, before, { hasWork: works })
  const counted = { ...before, inARow: works ? before.inARow : 0 }
  const { all, inARow } = counted
  if (works && areTooMany(counted, stage)) {
    const where = `the last behind offset ${position - 1} of ${topics[reads]}`
    throw new DeadlyPlace(`${all} processes died in this run ${AT_WORK[stage]}, ${where}`, all)
  }
  const slot = isSuspect(counted) ? await suspects.slots.take(options) : null
  if (slot !== null) {
    const why = `${inARow} processes in a row died ${AT_WORK[stage]}`
    logger.error({ sync, partition, stage, deaths: inARow, inRun: all }, why)
  }
  let isThrough = false
  const free = (): void => {
    slot?.[Symbol.dispose]()
    isThrough = true
  }
  return {
    deaths,
    position,
    precautionsIn: asked => new Precautions(asked === run ? counted : NO_DEATHS, stage),
    diedIn: asked => (asked === run ? before.all : 0),
    took: (output, marker) => suspects.own.set(nameOf(output), marker),
    cameFurther: free,
    leaves: () => (isThrough || incarnationsRun(runs, place.run)?.run !== run ? null : withoutOwn(deaths)),
    [Symbol.dispose]: free,
  }
}

/** True if the last owner reported a wait in which it sends nothing. */
function isIdle(runs: RunsView, { sync, incarnation, run }: RunEvent, partition: number): boolean {
  const known = runs.of(sync)
  const last = known?.incarnation === incarnation ? known.reports.get(partition) : undefined
  return last?.run === run && !last.ended && (last.waits ?? []).some(({ kind }) => IDLE_WAITS.has(kind))
}

function incarnationsRun(runs: RunsView, { sync, incarnation }: RunEvent): RunEvent | null {
  const known = runs.of(sync)
  return known?.incarnation === incarnation ? runAtWork(known) : null
}

const AT_WORK = {
  requests: 'while they rendered its changes',
  attempts: 'while they delivered its requests',
} as const

interface Reading {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly incarnation: string
  readonly stage: 'requests' | 'attempts'
  /** The partition that the stage writes. */
  readonly target: TopicPartition
  readonly signal: AbortSignal
}

interface FoundOwner extends LastOwner {
  /** Offset of its takeover marker; −1 where that is not known. */
  readonly marker: number
}

/** Finds the last owner; null where there was none. Reads a few records; rejects as the log does. */
async function findOwner(reading: Reading): Promise<FoundOwner | null> {
  let last: OwnRecord | null = null
  for await (const placed of readOwnBackwards(reading)) {
    last ??= placed
    if (last === placed && isTakeover(placed.record)) {
      const owner = ownerOf(placed)
      if (owner?.deaths !== null) return owner
    }
    const found = placeIn(placed.record)
    if (found === null) continue
    const isOver = isTakeover(last.record) || markerOf(placed.record)?.kind === 'run-end'
    const owner = isOver ? null : await takeoverAt(found.owner, reading)
    return { ...(owner ?? UNCOUNTED), position: found.position, lastAt: last.timestamp }
  }
  return null
}

const UNCOUNTED = { marker: -1, deaths: null, from: -1, tookOverAt: 0 } as const

/** Returns the owner that wrote this takeover marker and nothing else; null for another record. */
function ownerOf({ record, offset, timestamp }: OwnRecord): FoundOwner | null {
  const marker = markerOf(record)
  if (marker?.kind !== 'takeover') return null
  const { deaths, position } = marker
  const from = position ?? -1
  const times = { tookOverAt: timestamp, lastAt: timestamp }
  return { marker: offset, deaths, from, position: from, ...times }
}

async function takeoverAt(offset: number, reading: Reading): Promise<FoundOwner | null> {
  const placed = offset < 0 ? null : await ownRecordAt(reading, offset)
  return placed === null || placed.record === null ? null : ownerOf({ ...placed, record: placed.record })
}

/** Returns the position in the input that a record has, and its owner; null for a record without one. */
function placeIn(record: Typed): { readonly position: number; readonly owner: number } | null {
  switch (record.name) {
    case 'sluice.Request':
    case 'sluice.Unrenderable':
      return { position: record.value.changesEnd, owner: record.value.owner }
    case 'sluice.Slice':
      return record.value.input === null ? null : { position: record.value.input, owner: record.value.owner }
    case 'sluice.Attempt':
    case 'sluice.Marker': {
      const { owner, checkpoint } = record.value
      const position = checkpoint?.offset ?? (record.name === 'sluice.Marker' ? record.value.position : null)
      return isTakeover(record) || position === null ? null : { position, owner }
    }
    default:
      return null
  }
}

/**
 * True if the input has a record from this position on that is no takeover or release marker. It decodes no
 * record, since a record may end the process that decodes it.
 */
async function hasWork(
  { log, signal }: Pick<Reading, 'log' | 'signal'>,
  input: TopicPartition,
  position: number,
): Promise<boolean> {
  const { low, end } = await log.offsets(input, { signal })
  const from = Math.max(low, position)
  if (from >= end) return false
  for await (const { records } of log.read(input, { from, to: end, bufferBytes: LOOK_BYTES, signal }))
    if (records.some(({ key, value }) => value !== null && !isOwnersMarker(key))) return true
  return false
}

function isOwnersMarker(key: Uint8Array): boolean {
  return isMarkerKey(key) && /^(takeover|release)\//.test(keyText(key.subarray(1)))
}
