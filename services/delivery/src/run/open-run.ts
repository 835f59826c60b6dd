/** Opens a run in one partition: where its requests go, what sends them, and what ends it before its time. */
import type { RunBegin, RunEvent } from '@sluice/contracts/records'
import type { ByteShare } from '@sluice/flow/byte-budget'
import type { HttpSender } from '@sluice/http-sender/port'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { LeaseQueue } from '@sluice/rate-limit/lease-queue'
import { NO_FIGURES, type Figures } from '@sluice/stage/figures'
import { isMember, type Worker } from '@sluice/stage/own-partitions'
import type { RecordIo } from '@sluice/stage/record-io'
import type { RunsView } from '@sluice/stage/runs-view'
import type { Definitions } from '@sluice/stage/stored-documents'
import { plainMarker, type Ownership } from '@sluice/stage/take-over'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'
import type { DeliveryMemory } from '../delivery-memory.ts'
import { DestinationGate } from '../send/destination-gate.ts'
import { EarlyEnd } from './early-end.ts'
import type { Recovered } from '../ledger/recover-ledger.ts'
import type { RequestSequence } from '../send/request-sequence.ts'
import { SendQueue } from '../send/send-queue.ts'
import { resolveTarget, type Target } from '../destination/target.ts'
import type { Throttles } from '../send/throttles.ts'

export interface DeliverDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly runs: RunsView
  readonly definitions: Definitions
  readonly prefix: string
  readonly sender: HttpSender
  readonly leases: LeaseQueue
  /** Of all partitions of this process. */
  readonly throttles: Throttles
  /** Likewise. */
  readonly memory: DeliveryMemory
  readonly figures?: Figures | undefined
  /** Told of what went wrong without harm to any row. */
  readonly onError: (error: unknown) => void
  /** Resolves a definition's destination with its secrets. */
  readonly resolveTarget: (hash: string, signal: AbortSignal) => Promise<Target>
  /**
   * How long after an unclean takeover a request of the predecessor may still reach the API; 0 where it died
   * with its sockets.
   */
  readonly lateSendsMs: (target: Target) => number
}

export interface OpenRun extends RequestSequence {
  readonly begin: RunBegin
  readonly target: Target
  readonly sending: SendQueue
  readonly early: EarlyEnd
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
}

/**
 * Opens a run; `nextSeq` is null in the middle of one. Waits for the secrets of its destination. Rejects as
 * the definition's lookup does, and as the target's.
 */
export async function openRun(
  parts: DeliveryParts,
  of: {
    readonly begin: RunBegin
    readonly nextSeq: number | null
    /** Whether a run, by its number, has ended. */
    readonly isOver: (run: number) => boolean
    /** Told when who keeps the limits is out of reach for so long that another process should try. */
    readonly onCutOff: (error: unknown) => void
  },
  signal: AbortSignal,
): Promise<OpenRun> {
  const { deps, run, worker, ownership, ledger, attempts } = parts
  const { begin, nextSeq, isOver, onCutOff } = of
  const { maxDuration } = (await deps.definitions.get(begin.definition, { signal })).sync
  const early = new EarlyEnd({
    runs: deps.runs,
    why: () => {
      if (deps.runs.of(run.sync)?.events.get(begin.runId)?.cancelling === true) return 'the run was cancelled'
      return isOver(begin.run) ? 'the run has ended' : null
    },
    leftMs: maxDuration === undefined ? null : leftOf(maxDuration, begin.startedAt),
  })
  try {
    const target = await targetOf(deps, { begin, early }, signal)
    // From here on requests may be sent: a successor that finds this marker, and no end after it, knows.
    await ledger.mark({ ...plainMarker('run-begin', '', 0), begin })
    const partition = `${attempts.topic}/${run.incarnation}/${attempts.partition}`
    const holder = { partition, marker: ownership.owner(attempts) }
    const { onError } = deps
    const mayAct = (): boolean => isMember(worker)
    const sending = new SendQueue({
      target,
      ledger,
      sender: deps.sender,
      throttles: deps.throttles,
      figures: deps.figures ?? NO_FIGURES,
      gate: new DestinationGate(deps.leases, { target, holder, onError, mayAct, onCutOff }),
      early: early.signal,
      drain: worker.drain,
      signal: AbortSignal.any([worker.signal, ledger.failure]),
    })
    return { begin, target, sending, early, nextSeq, nextChange: 0, fault: null }
  } catch (error) {
    early[Symbol.dispose]()
    throw error
  }
}

/** Waits for the secrets of the destination; if the run ends before, nothing of it is sent without them. */
async function targetOf(
  deps: DeliverDeps,
  { begin, early }: { readonly begin: RunBegin; readonly early: EarlyEnd },
  signal: AbortSignal,
): Promise<Target> {
  try {
    return await deps.resolveTarget(begin.definition, AbortSignal.any([signal, early.signal]))
  } catch (error) {
    if (signal.aborted || !early.signal.aborted) throw error
    return resolveTarget(await deps.definitions.get(begin.definition, { signal }), () => '')
  }
}

/** How much longer a run may last; a clock that was set back gives it no more than the whole. */
function leftOf(maxDurationMs: number, startedAt: number): number {
  return Math.min(maxDurationMs, startedAt + maxDurationMs - Date.now())
}
