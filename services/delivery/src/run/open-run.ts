/** Opens a run in one partition: where its requests go, what sends them, and what ends it before its time. */
import { isSluiceError, type SluiceError } from '@sluice/contracts/errors'
import type { RunBegin, RunEvent } from '@sluice/contracts/records'
import type { WaitNow } from '@sluice/contracts/run-records'
import { triesOf } from '@sluice/domain/answers/next-try'
import type { ByteShare } from '@sluice/flow/byte-budget'
import { endingOf } from '@sluice/flow/ends'
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
import { CARELESS, type Care } from '@sluice/partition/deaths/count-deaths'
import { plainMarker, type Ownership } from '@sluice/partition/take-over'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'
import type { DeliveryMemory, LateShare } from '../delivery-memory.ts'
import { DestinationGate } from '../send/destination-gate.ts'
import { EarlyEnd } from './early-end.ts'
import type { Recovered } from '../ledger/request-history.ts'
import { notedSender, type LateSends } from './doubt.ts'
import type { RequestSequence } from '../send/request-sequence.ts'
import type { RenderElsewhere } from '@sluice/templates/rendering/render-batch'
import { PartRenderer } from '../send/render-part.ts'
import { SendQueue } from '../send/send-queue.ts'
import { targetWithoutSecrets, type Target } from '../destination/target.ts'
import type { Neighbours } from '../destination/neighbours.ts'
import type { Throttles } from '../send/throttles.ts'
import type { Places } from '../send/places.ts'

/**
 * Resolves a definition's destination with its secrets. While it waits, `waitsFor` is told for what; null
 * ends the wait. Rejects with `config` if no request could be sent, because a secret is missing or wrong, and
 * as the definition's lookup does.
 */
export type ResolveTarget = (
  hash: string,
  options: { readonly signal: AbortSignal; readonly waitsFor: (what: WaitNow | null) => void },
) => Promise<Target>

export interface DeliverDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly runs: RunsView
  readonly definitions: Definitions
  /** Renders parts that take long. */
  readonly renderElsewhere?: RenderElsewhere | undefined
  readonly prefix: string
  readonly sender: HttpSender
  readonly leases: LeaseQueue
  /** Of all partitions of this process. */
  readonly throttles: Throttles
  /** Of all partitions of this process. */
  readonly places: Places
  /** Of all partitions of this process, too. */
  readonly memory: DeliveryMemory
  /** Absent: no sync has neighbours. */
  readonly neighbours?: Neighbours
  readonly stageMetrics?: StageMetrics | undefined
  /** Absent or null where runs are not traced. */
  readonly traces?: Traces | null | undefined
  /** For pauses before further tries; default Math.random. */
  readonly random?: () => number
  /** Told of each failure that does no harm to any row. */
  readonly onError: (error: unknown) => void
  readonly resolveTarget: ResolveTarget
  /** What is known of requests that a predecessor may have sent, and that may still reach the API. */
  readonly lateSends: LateSends
}

export interface OpenRun extends RequestSequence {
  readonly begin: RunBegin
  readonly target: Target
  readonly sending: SendQueue
  readonly early: EarlyEnd
  /** What is minded where processes died before (PROTOCOL.md §11). */
  readonly care: Care
  /** Why what is left of it cannot be sent, and is unsent; null where it can. */
  readonly unsendable: SluiceError | null
}

/** What the delivery of one partition is made of. */
export interface DeliveryParts {
  readonly deps: DeliverDeps
  readonly run: RunEvent
  readonly worker: Worker
  readonly ownership: Ownership
  readonly recovered: Recovered
  readonly ledger: AttemptLedger
  readonly requests: TopicPartition
  readonly attempts: TopicPartition
  /** What this partition holds of the memory of the process. */
  readonly share: ByteShare
  /** The same, for requests that are read again for their next try. */
  readonly againShare: LateShare
}

/**
 * Opens a run; `nextSeq` is null in the middle of one. Waits for the secrets of its destination. Rejects as
 * the definition's lookup does.
 */
export async function openRun(
  parts: DeliveryParts,
  of: {
    readonly begin: RunBegin
    readonly nextSeq: number | null
    /** Whether a run, by its number, has ended. */
    readonly isOver: (run: number) => boolean
    /** Told when the keeper of the limits is out of reach for so long that another process should try. */
    readonly onCutOff: (error: unknown) => void
    /** Told what is waited for, and, with null, that nothing is. */
    readonly waitsFor: (what: WaitNow | null) => void
    /** Resolves once no request of an earlier run can arrive any more. */
    readonly beforeSending: (target: Target, signal: AbortSignal) => Promise<void>
  },
  signal: AbortSignal,
): Promise<OpenRun> {
  const { deps, run, worker, ownership, ledger, attempts } = parts
  const { begin, nextSeq, isOver, onCutOff, waitsFor, beforeSending } = of
  const { maxDuration, errors, delivery } = (await deps.definitions.get(begin.definition, { signal })).sync
  const care = worker.entry?.careIn(begin.run) ?? CARELESS
  const early = earlyEndOf(parts, { begin, care, maxDuration, isOver })
  try {
    const { target, unsendable } = await targetOf(deps, { begin, early, waitsFor }, signal)
    await beforeSending(target, signal)
    // From here on requests may be sent. A successor that finds this marker, and no end after it, knows that.
    await ledger.mark({ ...plainMarker('run-begin', '', 0), begin })
    const shared = (await deps.neighbours?.has(target, { signal })) ?? false
    const partition = placeOf(parts)
    const owner = { partition, marker: ownership.owner(attempts) }
    const mayAct = (): boolean => isMember(worker)
    const sending = new SendQueue({
      target,
      ledger,
      sender: notedSender(deps, partition),
      throttles: deps.throttles,
      places: deps.places,
      ...{ tries: triesOf({ errors, delivery }), care },
      removalsFirst: begin.removalsFirst === true,
      read: span => readAgain(parts, span),
      parts: new PartRenderer({
        ...{ ...deps, sync: run.sync, begin, changes: changesOf(parts) },
        bufferBytes: () => deps.memory.readerBytes,
        share: () => parts.againShare.opened,
        signal: endingOf(worker, ledger.failure),
      }),
      share: () => parts.againShare.opened,
      place: { partition: attempts.partition, runId: begin.runId },
      startedAt: begin.startedAt,
      random: deps.random ?? Math.random,
      stageMetrics: deps.stageMetrics ?? NO_STAGE_METRICS,
      traces: deps.traces,
      gate: new DestinationGate(deps.leases, {
        target,
        owner,
        shared,
        onError: deps.onError,
        mayAct,
        onCutOff,
      }),
      early: early.signal,
      drain: worker.drain,
      abort: AbortSignal.any([worker.abort, ledger.failure]),
    })
    deps.stageMetrics?.sends(run.sync, target.destination)
    return {
      ...{ begin, target, sending, early, care, nextSeq, nextChange: 0, fault: null },
      // Where it was known from the start, or turns out while it is sent.
      get unsendable() {
        return unsendable ?? sending.unsendable
      },
    }
  } catch (error) {
    early[Symbol.dispose]()
    throw error
  }
}

/** What ends the run before its time. */
function earlyEndOf(
  { deps, run }: DeliveryParts,
  of: {
    readonly begin: RunBegin
    readonly care: Care
    readonly maxDuration: number | undefined
    readonly isOver: (run: number) => boolean
  },
): EarlyEnd {
  const { begin, care, maxDuration, isOver } = of
  return new EarlyEnd({
    runs: deps.runs,
    why: () => {
      if (care.ends !== null) return care.ends
      if (deps.runs.of(run.sync)?.events.get(begin.runId)?.cancelling === true) return 'the run was cancelled'
      return isOver(begin.run) ? 'the run has ended' : null
    },
    leftMs: maxDuration === undefined ? null : leftOf(maxDuration, begin.startedAt),
  })
}

/**
 * Waits for the secrets of the destination. If the run ends before they come, or they do not come, nothing of
 * it is sent.
 */
async function targetOf(
  deps: DeliverDeps,
  of: {
    readonly begin: RunBegin
    readonly early: EarlyEnd
    readonly waitsFor: (what: WaitNow | null) => void
  },
  signal: AbortSignal,
): Promise<Pick<OpenRun, 'target' | 'unsendable'>> {
  const { begin, early, waitsFor } = of
  let unsendable: SluiceError | null = null
  try {
    const options = { signal: AbortSignal.any([signal, early.signal]), waitsFor }
    return { target: await deps.resolveTarget(begin.definition, options), unsendable }
  } catch (error) {
    if (signal.aborted) throw error
    if (!early.signal.aborted) {
      if (!isSluiceError(error, 'config')) throw error
      unsendable = error
      early.end(error.message)
    }
    const definition = await deps.definitions.get(begin.definition, { signal })
    return { target: targetWithoutSecrets(definition), unsendable }
  }
}

/** The name of the partition, of this incarnation of its sync. */
export function placeOf({ run, attempts }: Pick<DeliveryParts, 'run' | 'attempts'>): string {
  return `${attempts.topic}/${run.incarnation}/${attempts.partition}`
}

function changesOf({ deps, run, attempts }: DeliveryParts): TopicPartition {
  return at(syncTopics(deps.prefix, run.sync).changes, attempts.partition)
}

/** Reads requests that were taken into work before. */
async function* readAgain(
  { deps, run, requests, worker, ledger }: DeliveryParts,
  span: { readonly from: number; readonly to: number },
): AsyncGenerator<readonly Placed[]> {
  const { log, io, memory } = deps
  const signal = endingOf(worker, ledger.failure)
  const { incarnation } = run
  const reading = { log, io, incarnation, stage: 'requests', target: requests, signal } as const
  for await (const batch of readOwned({ ...reading, ...span, bufferBytes: memory.readerBytes }))
    yield batch.records
}

/** How much longer a run may last. A clock that was set back gives it no more than the whole. */
function leftOf(maxDurationMs: number, startedAt: number): number {
  return Math.min(maxDurationMs, startedAt + maxDurationMs - Date.now())
}

/** The run has failed though each of its rows is accounted for: no change is in doubt. */
export function unsentFault(open: OpenRun | null): { from: number; error: string; errorCode: string } | null {
  if (open?.unsendable === null || open === null) return null
  return { from: open.nextChange, error: open.unsendable.message, errorCode: open.unsendable.code }
}

/**
 * The run whose `run-begin` stands at this offset of the requests; null if none does. Rejects as the log
 * does.
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
