/**
 * Delivers one partition of a sync's requests: takes over, recovers what an earlier owner left, sends within
 * the limits, and reports the partition when all before a run's `run-end` is finished (PROTOCOL.md §6, §8).
 * Requests are sent in the order of the topic and finished in any; a run's end waits for all of them, so that
 * rows of the same key, which meet only in different runs, arrive in order.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Marker, Request, RunBegin, RunEvent, Unrenderable } from '@sluice/contracts/records'
import { abortable } from '@sluice/flow/abortable'
import type { ByteShare } from '@sluice/flow/byte-budget'
import { sleep } from '@sluice/flow/sleep'
import type { HttpSender } from '@sluice/http-sender/port'
import type { LeaseQueue } from '@sluice/rate-limit/lease-queue'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { NO_FIGURES, type Figures } from '@sluice/stage/figures'
import { markerOf, readOwned, type Placed } from '@sluice/stage/owned-reader'
import { isMember, type Worker } from '@sluice/stage/own-partitions'
import type { RecordIo } from '@sluice/stage/record-io'
import type { RunsView } from '@sluice/stage/runs-view'
import type { Definitions } from '@sluice/stage/stored-documents'
import { plainMarker, takeOver, type Ownership } from '@sluice/stage/take-over'
import { at, syncTopics } from '@sluice/stage/topics'
import { AttemptLedger } from './attempt-ledger.ts'
import { HeldRequest, type DeliveryMemory } from './delivery-memory.ts'
import { DestinationGate } from './destination-gate.ts'
import { EarlyEnd } from './early-end.ts'
import { effectsOf } from './effects.ts'
import { recoverLedger, type Recovered } from './recover-ledger.ts'
import { PartitionReporter } from './report-partition.ts'
import { NO_HISTORY, type RequestHistory } from './request-history.ts'
import { faultOf, inSequence, type RequestSequence } from './request-sequence.ts'
import { SendQueue } from './send-queue.ts'
import type { SendJob } from './send-request.ts'
import { resolveTarget, type Target } from './target.ts'
import type { Throttles } from './throttles.ts'
import { isForgotten, unrenderableAttempt } from './unrenderable-rows.ts'

/**
 * Requests taken from the topic and not finished, per partition: this times the concurrency, and at least the
 * second figure.
 */
const UNFINISHED_PER_SLOT = 2
const UNFINISHED_LEAST = 64

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

interface OpenRun extends RequestSequence {
  readonly begin: RunBegin
  readonly target: Target
  readonly sending: SendQueue
  readonly early: EarlyEnd
}

/**
 * Works until drained or aborted. Rejects with `fenced` or a retryable error where another takeover is the
 * remedy.
 */
export async function deliverPartition(deps: DeliverDeps, run: RunEvent, worker: Worker): Promise<void> {
  const { log, io, prefix } = deps
  const { sync, incarnation } = run
  const { partition } = worker.target
  const topics = syncTopics(prefix, sync)
  const attempts = at(topics.attempts, partition)
  const retry = at(topics.retry, partition)
  const captured = at(topics.captured, partition)
  const requests = at(topics.requests, partition)
  const stopping = AbortSignal.any([worker.drain, worker.signal])
  const common = { log, io, incarnation }
  using share = deps.memory.requests.open()
  await using ownership = await takeOver({
    ...common,
    prefix,
    stage: 'attempts',
    sync,
    partition,
    targets: [attempts, retry, captured],
    signal: stopping,
  })
  const recovered = await recoverLedger({ ...common, requests, attempts, signal: stopping })
  const { checkpoint } = recovered
  const ledger = new AttemptLedger({
    io,
    ownership,
    attempts,
    retry,
    captured,
    position: checkpoint.offset,
    run: checkpoint.run,
    counts: checkpoint.counts,
    firstAttempts: new Map([...recovered.known].map(([offset, known]) => [offset, known.firstAttempt])),
    attemptsEnd: ownership.owner(attempts) + 1,
    signal: worker.signal,
  })
  const delivery = new PartitionDelivery({
    deps,
    run,
    worker,
    ownership,
    recovered,
    ledger,
    requests,
    attempts,
    share,
  })
  await delivery.work()
}

interface Parts {
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

class PartitionDelivery {
  readonly #parts: Parts
  readonly #reporter: PartitionReporter
  #open: OpenRun | null = null
  /**
   * Until the end of a run that was taken over uncleanly: how many more requests without an attempt the
   * predecessor may have sent; null before the first is seen.
   */
  #doubt: { left: number | null } | null
  readonly #uncleanSince = performance.now()

  constructor(parts: Parts) {
    this.#parts = parts
    this.#doubt = parts.recovered.clean ? null : { left: null }
    this.#reporter = new PartitionReporter({ ...parts, ...parts.deps })
  }

  async work(): Promise<void> {
    const { deps, run, worker, ledger, recovered, requests } = this.#parts
    const { log, io } = deps
    const stopping = AbortSignal.any([worker.drain, worker.signal, ledger.failure])
    const from = recovered.checkpoint.offset
    const bufferBytes = deps.memory.readerBytes
    const { incarnation } = run
    const reading = { log, io, incarnation, stage: 'requests', target: requests, bufferBytes } as const
    const ended = new AbortController()
    const progress = this.#reporter.reportProgress(ledger, AbortSignal.any([stopping, ended.signal]))
    try {
      for await (const batch of readOwned({ ...reading, from, signal: stopping })) {
        for (const placed of batch.records) await this.#take(placed, stopping)
        ledger.skipTo(batch.nextOffset)
      }
    } catch (error) {
      if (!stopping.aborted) throw error
    } finally {
      ended.abort()
      await this.#open?.sending.stop()
      this.#open?.early[Symbol.dispose]()
      await progress
    }
    ledger.failure.throwIfAborted()
    if (!worker.signal.aborted) await this.#release()
  }

  async #take(placed: Placed, stopping: AbortSignal): Promise<void> {
    const { ledger } = this.#parts
    const { record, offset } = placed
    const marker = markerOf(record)
    if (record?.name === 'sluice.Request') await this.#takeRequest(placed, record.value, stopping)
    else if (record?.name === 'sluice.Unrenderable')
      await this.#takeUnrenderable(placed, record.value, stopping)
    else if (marker?.kind === 'run-begin' && marker.begin !== null) {
      if (this.#open !== null)
        throw new SluiceError('corrupt', `run ${marker.begin.run} begins inside run ${this.#open.begin.run}`)
      ledger.skipTo(offset + 1)
      ledger.beginRun(marker.begin.run)
      this.#open = await this.#openRun(marker.begin, stopping, 0)
    } else if (marker?.kind === 'run-end') await this.#endRun(offset, marker, stopping)
  }

  async #takeRequest({ offset, bytes }: Placed, request: Request, stopping: AbortSignal): Promise<void> {
    const { ledger, recovered } = this.#parts
    const open = await this.#runOf(request, stopping)
    if (!inSequence(open, offset, request)) return
    const held = await this.#room(open, { record: request, recordBytes: bytes, signal: stopping })
    const known = recovered.known.get(offset)
    ledger.start(offset)
    const final = known?.history.final ?? null
    if (final !== null) {
      const attempts = known?.history.attempts ?? 0
      const effects = effectsOf({ ...request, attempts, requests: 1, final })
      ledger.record({ requestOffset: offset, attempt: null, effects, release: () => held.done() })
      return
    }
    open.sending.push(this.#jobOf(offset, request, open, this.#historyOf(known?.history, open)), held)
  }

  /** Waits until the record may be taken into work: by their number, and by what all of them hold. */
  async #room(open: OpenRun, of: Parameters<typeof HeldRequest.take>[1]): Promise<HeldRequest> {
    const { ledger, share } = this.#parts
    await ledger.room(unfinishedLimit(open.target), of)
    return await HeldRequest.take(share, of)
  }

  /** What the predecessor may have sent unseen counts as one more attempt, unknown. */
  #historyOf(known: RequestHistory | undefined, open: OpenRun): RequestHistory {
    const history = known ?? NO_HISTORY
    if (this.#doubt === null) return history
    if (known !== undefined) return { ...history, tainted: true }
    this.#doubt.left ??= unfinishedLimit(open.target)
    if (this.#doubt.left === 0) return history
    this.#doubt.left -= 1
    return { ...history, tainted: true }
  }

  async #takeUnrenderable(
    { offset, bytes }: Placed,
    record: Unrenderable,
    stopping: AbortSignal,
  ): Promise<void> {
    const { ledger, recovered } = this.#parts
    const open = await this.#runOf(record, stopping)
    if (!inSequence(open, offset, record)) return
    const held = await this.#room(open, { record, recordBytes: bytes, signal: stopping })
    const known = recovered.known.get(offset)
    ledger.start(offset)
    const recorded = known?.history.final ?? null
    const forgets = isForgotten(record, open.target)
    const final = recorded ?? unrenderableAttempt(offset, record, { runId: open.begin.runId, forgets })
    const effects = effectsOf({ ...record, attempts: 0, requests: 0, final, forgets })
    ledger.record({
      requestOffset: offset,
      attempt: recorded === null ? final : null,
      effects,
      release: () => held.done(),
    })
  }

  #jobOf(offset: number, request: Request, open: OpenRun, history: RequestHistory): SendJob {
    const { partition } = this.#parts.worker.target
    return { request, requestOffset: offset, partition, runId: open.begin.runId, history }
  }

  /**
   * The open run; on the first record after a takeover in the middle of a run it is found through the record.
   */
  async #runOf(record: Request | Unrenderable, signal: AbortSignal): Promise<OpenRun> {
    if (this.#open !== null) return this.#open
    const { deps, run, requests, ledger } = this.#parts
    const { log, io } = deps
    const options = {
      log,
      io,
      incarnation: run.incarnation,
      stage: 'requests',
      target: requests,
      signal,
    } as const
    for await (const batch of readOwned({ ...options, from: record.begin, to: record.begin + 1 })) {
      const begin = markerOf(batch.records[0]?.record ?? null)?.begin
      if (begin === undefined || begin === null) break
      if (this.#parts.recovered.checkpoint.run !== begin.run) ledger.beginRun(begin.run)
      this.#open = await this.#openRun(begin, signal, null)
      return this.#open
    }
    throw new SluiceError('corrupt', `no run begins at offset ${record.begin} of ${requests.topic}`)
  }

  async #openRun(begin: RunBegin, signal: AbortSignal, nextSeq: number | null): Promise<OpenRun> {
    const { deps, run, worker, ownership, ledger, attempts } = this.#parts
    const { maxDuration } = (await deps.definitions.get(begin.definition, { signal })).sync
    const early = new EarlyEnd({
      runs: deps.runs,
      isCancelled: () => deps.runs.of(run.sync)?.events.get(begin.runId)?.cancelling === true,
      leftMs: maxDuration === undefined ? null : leftOf(maxDuration, begin.startedAt),
    })
    const target = await this.#targetOf(begin, early, signal)
    // From here on requests may be sent: a successor that finds this marker, and no end after it, knows.
    await ledger.mark({ ...plainMarker('run-begin', '', 0), begin })
    const partition = `${attempts.topic}/${run.incarnation}/${attempts.partition}`
    const holder = { partition, marker: ownership.owner(attempts) }
    const sending = new SendQueue({
      target,
      ledger,
      sender: deps.sender,
      throttles: deps.throttles,
      figures: deps.figures ?? NO_FIGURES,
      gate: new DestinationGate(deps.leases, {
        target,
        holder,
        onError: deps.onError,
        mayAct: () => isMember(worker),
      }),
      early: early.signal,
      drain: worker.drain,
      signal: AbortSignal.any([worker.signal, ledger.failure]),
    })
    return { begin, target, sending, early, nextSeq, nextChange: 0, fault: null }
  }

  /** Waits for the secrets of the destination; if the run ends before, nothing of it is sent without them. */
  async #targetOf(begin: RunBegin, early: EarlyEnd, signal: AbortSignal): Promise<Target> {
    const { deps } = this.#parts
    try {
      return await deps.resolveTarget(begin.definition, AbortSignal.any([signal, early.signal]))
    } catch (error) {
      if (!signal.aborted && early.signal.aborted)
        return resolveTarget(await deps.definitions.get(begin.definition, { signal }), () => '')
      early[Symbol.dispose]()
      throw error
    }
  }

  async #endRun(offset: number, end: Marker, stopping: AbortSignal): Promise<void> {
    const { ledger, deps, recovered } = this.#parts
    const { begin } = end
    if (begin === null) throw new SluiceError('corrupt', `a run-end marker at offset ${offset} names no run`)
    if (this.#open === null && recovered.checkpoint.run !== begin.run) ledger.beginRun(begin.run)
    await ledger.settled({ signal: stopping })
    await this.#open?.sending.stop()
    const fault = this.#open?.fault ?? faultOf(end, this.#open)
    if (this.#doubt !== null && this.#open !== null)
      await this.#waitForLateSends(deps.lateSendsMs(this.#open.target), stopping)
    await abortable(
      this.#reporter.reportEnd({ begin, counts: ledger.counts, fault, requestsEnd: offset + 1 }),
      {
        signal: stopping,
      },
    )
    ledger.skipTo(offset + 1)
    const { count, sealed } = end
    await ledger.mark({ ...plainMarker('run-end', '', 0), begin, count, sealed })
    this.#open?.early[Symbol.dispose]()
    this.#open = null
    this.#doubt = null
  }

  /** Nothing that a frozen predecessor still sends may overtake the next run. */
  async #waitForLateSends(lateMs: number, signal: AbortSignal): Promise<void> {
    const left = this.#uncleanSince + lateMs - performance.now()
    if (left <= 0) return
    await sleep(left, { signal })
  }

  /**
   * Hands over in good order; but while a predecessor's requests are in doubt, the successor is to doubt them
   * too.
   */
  async #release(): Promise<void> {
    const { ledger, worker } = this.#parts
    await ledger.flushed({ signal: worker.signal })
    if (this.#doubt === null) await ledger.mark(plainMarker('release', '', 0))
  }
}

/** How much longer a run may last; a clock that was set back gives it no more than the whole. */
function leftOf(maxDurationMs: number, startedAt: number): number {
  return Math.min(maxDurationMs, startedAt + maxDurationMs - Date.now())
}

function unfinishedLimit(target: Target): number {
  return Math.max(UNFINISHED_LEAST, Math.min(target.concurrency, 10_000) * UNFINISHED_PER_SLOT)
}
