/** Opens a run in one partition: resolves its target, makes its send queue, and watches for an early end. */
import { isSluiceError, type SluiceError } from '@sluice/contracts/errors'
import type { PartitionReport, RunBegin, RunEvent, WaitNow } from '@sluice/contracts/records'
import type { SyncSpec } from '@sluice/contracts/resources'
import { retryPolicyOf } from '@sluice/domain/answers/retry-policy'
import { isStream as isStreamed } from '@sluice/domain/definition'
import type { ByteShare } from '@sluice/flow/byte-budget'
import { endingOf } from '@sluice/flow/ends'
import { doublingPause } from '@sluice/flow/retry'
import { sleep } from '@sluice/flow/sleep'
import type { HttpSender } from '@sluice/http-sender/port'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { LeaseQueue } from '@sluice/rate-limit/lease-queue'
import { NO_STAGE_METRICS, type StageMetrics } from '@sluice/partition/stage-metrics'
import type { Traces } from '@sluice/runtime/traces/span'
import { isMember, type Worker } from '@sluice/partition/own-partitions'
import { markerOf, ownRecordAt, readOwned, type Placed } from '@sluice/topics/owned-reader'
import { at, syncTopics } from '@sluice/topics/topics'
import type { RecordIo } from '@sluice/topics/record-io'
import type { RunsView } from '@sluice/runs/runs-view'
import type { Definitions } from '@sluice/resources/stored-documents'
import { NO_PRECAUTIONS, type Precautions } from '@sluice/partition/deaths/count-deaths'
import { plainMarker, type Ownership } from '@sluice/partition/take-over'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'
import type { DeliveryMemory, LateShare } from '../delivery-memory.ts'
import { DestinationGate } from '../send/destination-gate.ts'
import { EarlyEnd, STAGE_ENDED } from './early-end.ts'
import type { Recovered } from '../ledger/request-history.ts'
import { notedSender, type LateSends } from './maybe-sent.ts'
import type { RecentCounts } from './recent-attempts.ts'
import type { RequestSequence } from '../send/request-sequence.ts'
import type { RenderElsewhere } from '@sluice/templates/rendering/render-batch'
import { PartRenderer } from '../send/render-part.ts'
import { SendQueue } from '../send/send-queue.ts'
import { targetWithoutSecrets, type Target } from '../destination/target.ts'
import type { Neighbours } from '../destination/neighbours.ts'
import type { Throttles } from '../send/throttles.ts'
import type { UnrecordedRequests } from '../send/unrecorded-requests.ts'

/**
 * Resolves a definition's destination with its secrets. It calls `waitsFor` with each wait, and with null
 * when the wait is over. Rejects with `config` if no request could be sent, because a secret is missing or
 * wrong, and as the lookup of the definition does.
 */
export type ResolveTarget = (
  hash: string,
  options: { readonly signal: AbortSignal; readonly waitsFor: (wait: WaitNow | null) => void },
) => Promise<Target>

export interface DeliverDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly runs: RunsView
  readonly definitions: Definitions
  /** Renders parts that take long, in another thread. */
  readonly renderElsewhere?: RenderElsewhere | undefined
  readonly prefix: string
  readonly sender: HttpSender
  readonly leases: LeaseQueue
  /** All partitions of this process share throttles, unrecorded and memory. */
  readonly throttles: Throttles
  readonly unrecorded: UnrecordedRequests
  readonly memory: DeliveryMemory
  /** Absent if syncs are taken to have no neighbours. */
  readonly neighbours?: Neighbours
  readonly stageMetrics?: StageMetrics | undefined
  /** Absent or null where runs are not traced. */
  readonly traces?: Traces | null | undefined
  /** Randomizes the pauses before retries; default Math.random. */
  readonly random?: () => number
  /** Called with each failure that harms no row. */
  readonly onError: (error: unknown) => void
  readonly resolveTarget: ResolveTarget
  /** Notes requests under way, and knows which of a predecessor may still reach the API. */
  readonly lateSends: LateSends
}

export interface OpenRun extends RequestSequence {
  readonly begin: RunBegin
  /** True for a run over a stream. */
  readonly isStream: boolean
  readonly target: Target
  readonly sending: SendQueue
  readonly early: EarlyEnd
  /** The precautions after deaths of processes (PROTOCOL.md §11). */
  readonly precautions: Precautions
  /** The error that makes the rest of its requests unsent; null if they can be sent. */
  readonly unsendable: SluiceError | null
}

/** The state that the parts of one partition's delivery share. */
export interface DeliveryParts {
  readonly deps: DeliverDeps
  readonly run: RunEvent
  readonly worker: Worker
  readonly ownership: Ownership
  readonly recovered: Recovered
  readonly ledger: AttemptLedger
  readonly recent: RecentCounts
  readonly requests: TopicPartition
  readonly attempts: TopicPartition
  readonly retry: TopicPartition
  /** This partition's share of the memory of the process. */
  readonly share: ByteShare
  /** This partition's share for requests that are read again when they are sent again. */
  readonly againShare: LateShare
}

/**
 * Opens a run. Waits for the secrets of its destination. Rejects as the lookup of the definition does.
 */
export async function openRun(
  parts: DeliveryParts,
  options: {
    readonly begin: RunBegin
    /** The seq of the first request; null in the middle of a run. */
    readonly nextSeq: number | null
    /** Returns true if the run with this number has ended. */
    readonly isOver: (run: number) => boolean
    /**
     * Called when the limits store has been out of reach for so long that another process should take over.
     */
    readonly onUnreachable: (error: unknown) => void
    /** Called with each wait, and with null when the wait is over. */
    readonly waitsFor: (wait: WaitNow | null) => void
    /** Resolves once no request of an earlier run can arrive any more. */
    readonly beforeSending: (target: Target, signal: AbortSignal) => Promise<void>
  },
  signal: AbortSignal,
): Promise<OpenRun> {
  const { deps, run, worker, ownership, ledger, recent, attempts } = parts
  const { begin, nextSeq, isOver, onUnreachable, waitsFor, beforeSending } = options
  const { sync } = await deps.definitions.get(begin.definition, { signal })
  const isStream = isStreamed(sync)
  const precautions = worker.entry?.precautionsIn(begin.run) ?? NO_PRECAUTIONS
  const early = earlyEndOf(parts, { begin, precautions, sync, isOver })
  try {
    const { target, unsendable } = await targetOf(parts, { begin, isStream, early, waitsFor }, signal)
    await beforeSending(target, signal)
    // From here on requests may be sent. A successor knows that if it finds this marker and no end after it.
    await ledger.mark({ ...plainMarker('run-begin', '', 0), begin })
    const shared = (await deps.neighbours?.has(target, { signal })) ?? false
    const partition = partitionName(parts)
    const owner = { partition, marker: ownership.markerOffset(attempts) }
    const sending = new SendQueue({
      target,
      ...{ ledger, recent },
      sender: notedSender(deps, partition),
      throttles: deps.throttles,
      unrecorded: deps.unrecorded,
      ...{ retryPolicy: retryPolicyOf(sync), precautions },
      removalsFirst: begin.removalsFirst === true,
      isStream,
      read: range => readAgain(parts, range),
      parts: new PartRenderer({
        ...{ ...deps, sync: run.sync, begin, changes: changesOf(parts) },
        bufferBytes: () => deps.memory.readerBytes,
        share: () => parts.againShare.opened,
        signal: endingOf(worker, ledger.failure),
      }),
      share: () => parts.againShare.opened,
      ...{ partition: attempts.partition, runId: begin.runId },
      startedAt: begin.startedAt,
      random: deps.random ?? Math.random,
      stageMetrics: deps.stageMetrics ?? NO_STAGE_METRICS,
      traces: deps.traces,
      gate: new DestinationGate(deps.leases, {
        ...{ target, owner, shared },
        answers: deps.throttles.answers,
        onError: deps.onError,
        mayAct: () => isMember(worker),
        onUnreachable,
      }),
      early: early.signal,
      drain: worker.drain,
      abort: AbortSignal.any([worker.abort, ledger.failure]),
    })
    deps.stageMetrics?.sends(run.sync, target.destination)
    return {
      ...{ begin, isStream, target, sending, early, precautions, nextSeq, nextChange: 0, fault: null },
      // The error may be known from the start, or occur during the run.
      get unsendable() {
        return unsendable ?? sending.unsendable
      },
    }
  } catch (error) {
    early[Symbol.dispose]()
    throw error
  }
}

function earlyEndOf(
  { deps, run, attempts }: DeliveryParts,
  {
    begin,
    precautions,
    sync,
    isOver,
  }: {
    readonly begin: RunBegin
    readonly precautions: Precautions
    readonly sync: SyncSpec
    readonly isOver: (run: number) => boolean
  },
): EarlyEnd {
  // A stream has no end that it could be late for.
  const maxDuration = isStreamed(sync) ? undefined : sync.maxDuration
  return new EarlyEnd({
    runs: deps.runs,
    why: () => {
      if (precautions.ends !== null) return precautions.ends
      if (deps.runs.of(run.sync)?.events.get(begin.runId)?.cancelling === true) return 'the run was cancelled'
      if (isOver(begin.run)) return 'the run has ended'
      const report = reportOf({ deps, run, attempts })
      const isEndedHere = report?.run === begin.run && report.ended && report.requestsEnd === 0
      return isEndedHere ? STAGE_ENDED : null
    },
    leftMs: maxDuration === undefined ? null : leftMs(maxDuration, begin.startedAt),
  })
}

interface OpeningTarget {
  readonly begin: RunBegin
  readonly isStream: boolean
  readonly early: EarlyEnd
  readonly waitsFor: (wait: WaitNow | null) => void
}

/** The pauses before a run over a stream looks again for a secret that is missing. */
const SECRET_PAUSES = { firstMs: 1_000, maxMs: 30_000 }

/**
 * Resolves the target. A run over a stream waits without limit for a secret that is missing, and for one that
 * is wrong to be replaced.
 */
async function resolvedTarget(
  { resolveTarget }: Pick<DeliverDeps, 'resolveTarget'>,
  { begin, isStream, waitsFor }: OpeningTarget,
  signal: AbortSignal,
): Promise<Target> {
  for (let times = 1; ; times += 1) {
    try {
      return await resolveTarget(begin.definition, { signal, waitsFor })
    } catch (error) {
      if (!isStream || signal.aborted || !isSluiceError(error, 'config')) throw error
      waitsFor({ kind: 'secret', until: null, detail: error.message })
    }
    await sleep(doublingPause(times, SECRET_PAUSES), { signal }).finally(() => waitsFor(null))
  }
}

/** Waits for the secrets of the destination. If the run ends first, none of its requests are sent. */
async function targetOf(
  { deps, recent }: Pick<DeliveryParts, 'deps' | 'recent'>,
  opening: OpeningTarget,
  signal: AbortSignal,
): Promise<Pick<OpenRun, 'target' | 'unsendable'>> {
  const { begin, early } = opening
  let unsendable: SluiceError | null = null
  try {
    const target = await resolvedTarget(deps, opening, AbortSignal.any([signal, early.signal]))
    recent.begin(target.destination)
    return { target, unsendable }
  } catch (error) {
    if (signal.aborted) throw error
    if (!early.signal.aborted) {
      if (!isSluiceError(error, 'config')) throw error
      unsendable = error
      early.end(error.message)
    }
    const definition = await deps.definitions.get(begin.definition, { signal })
    recent.begin(definition.destination.name)
    if (unsendable !== null) recent.stop('unusable', unsendable.message)
    return { target: targetWithoutSecrets(definition), unsendable }
  }
}

/** Returns the last report of this partition on `runs`, by any writer. */
export function reportOf({
  deps,
  run,
  attempts,
}: Pick<DeliveryParts, 'deps' | 'run' | 'attempts'>): PartitionReport | undefined {
  const known = deps.runs.of(run.sync)
  return known?.incarnation === run.incarnation ? known.reports.get(attempts.partition) : undefined
}

/** Returns the name of the partition in this incarnation of its sync. */
export function partitionName({ run, attempts }: Pick<DeliveryParts, 'run' | 'attempts'>): string {
  return `${attempts.topic}/${run.incarnation}/${attempts.partition}`
}

function changesOf({ deps, run, attempts }: DeliveryParts): TopicPartition {
  return at(syncTopics(deps.prefix, run.sync).changes, attempts.partition)
}

/** Reads again requests that were taken into work before. */
async function* readAgain(
  { deps, run, requests, worker, ledger }: DeliveryParts,
  range: { readonly from: number; readonly to: number },
): AsyncGenerator<readonly Placed[]> {
  const { log, io, memory } = deps
  const signal = endingOf(worker, ledger.failure)
  const { incarnation } = run
  const reading = { log, io, incarnation, stage: 'requests', target: requests, signal } as const
  for await (const batch of readOwned({ ...reading, ...range, bufferBytes: memory.readerBytes }))
    yield batch.records
}

/**
 * Returns how much longer a run may last. It is never more than `maxDurationMs`, even if the clock was set
 * back.
 */
function leftMs(maxDurationMs: number, startedAt: number): number {
  return Math.min(maxDurationMs, startedAt + maxDurationMs - Date.now())
}

/**
 * Returns the fault of a run that fails because its requests cannot be sent. No change of the run is
 * uncertain.
 */
export function unsentFault(open: OpenRun | null): { from: number; error: string; errorCode: string } | null {
  const unsendable = open?.unsendable ?? null
  if (open === null || unsendable === null) return null
  return { from: open.nextChange, error: unsendable.message, errorCode: unsendable.code }
}

/**
 * Returns the run whose `run-begin` is at this offset of `requests`; null if there is none. Rejects as the
 * log does.
 */
export async function runBeginAt(
  { deps, run, requests }: DeliveryParts,
  offset: number,
  { signal }: { readonly signal: AbortSignal },
): Promise<{ readonly begin: RunBegin; readonly timestamp: number } | null> {
  const { log, io } = deps
  const { incarnation } = run
  const placed = await ownRecordAt(
    { log, io, incarnation, stage: 'requests', target: requests, signal },
    offset,
  )
  const begin = markerOf(placed?.record ?? null)?.begin ?? null
  return placed === null || begin === null ? null : { begin, timestamp: placed.timestamp }
}
