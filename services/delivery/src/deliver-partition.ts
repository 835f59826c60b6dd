/**
 * Delivers one partition of a sync's requests. It takes the partition over, recovers the state of its
 * predecessor, and sends within the limits. It reports the end of a run once every request before the
 * `run-end` is finished (PROTOCOL.md §6, §8).
 *
 * Requests are sent in the order of the topic and finished in any order. The end of a run waits for all of
 * them. So rows of the same key arrive in order, since they occur only in different runs. Over a stream they
 * also occur in different slices of a run: the detector sends a key again once the end of its slice is passed
 * on.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type {
  Marker,
  Request,
  RunBegin,
  RunEvent,
  Slice,
  Unrenderable,
  WaitNow,
} from '@sluice/contracts/records'
import { isStream as isStreamed } from '@sluice/domain/definition'
import { abortable } from '@sluice/flow/abortable'
import { endingOf } from '@sluice/flow/ends'
import { Notifier } from '@sluice/flow/notifier'
import { markerOf, readOwned, type Placed } from '@sluice/topics/owned-reader'
import type { Worker } from '@sluice/partition/own-partitions'
import { isOver } from '@sluice/runs/runs-view'
import type { Typed } from '@sluice/topics/record-io'
import { plainMarker, takeOver } from '@sluice/partition/take-over'
import { at, homePartition, syncTopics } from '@sluice/topics/topics'
import { AttemptLedger } from './ledger/attempt-ledger.ts'
import { LateShare, type RequestMemory, maxMaybeSent, WorkRoom } from './delivery-memory.ts'
import { MaybeSent } from './run/maybe-sent.ts'
import { answeredEffects, effectsOf, isReplayed, unrenderableEnd } from './outcome/effects.ts'
import { STAGE_ENDED } from './run/early-end.ts'
import { endWithoutRenderer, PassedRun } from './run/passed-run.ts'
import {
  openRun,
  partitionName,
  reportOf,
  runBeginAt,
  unsentFault,
  type DeliverDeps,
  type DeliveryParts,
  type OpenRun,
} from './run/open-run.ts'
import { PassedSlices, sliceBefore } from './run/pass-slices.ts'
import { RemovalsFirst } from './run/removals-first.ts'
import { rowsAt, recoverLedger } from './ledger/request-history.ts'
import { KeyOrder } from './run/key-order.ts'
import { RecentCounts } from './run/recent-attempts.ts'
import { PartitionReporter, showBacklog } from './run/report-partition.ts'
import { OpenRequest } from './send/open-request.ts'
import { endsInSequence, faultOf, inSequence } from './send/request-sequence.ts'

/** Delivery writes the effects of at most this many requests of a skipped run at once. */
const MAX_PASSED_OVER = 64

/**
 * Works until drained or aborted. Rejects with `fenced` or a retryable error if another takeover can help.
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
  const ending = endingOf(worker)
  const common = { log, io, incarnation }
  using share = deps.memory.requests.open()
  using againShare = new LateShare(deps.memory.requests)
  // An earlier owner may have reported the end of a run here. Nothing of that run may be sent (PROTOCOL.md
  // §11).
  await deps.runs.caughtUp(homePartition(sync), { signal: ending })
  await using ownership = await takeOver({
    ...common,
    prefix,
    stage: 'attempts',
    sync,
    partition,
    targets: [attempts, retry, captured],
    entry: worker.entry,
    signal: ending,
    abort: worker.abort,
  })
  const { readerBytes: bufferBytes } = deps.memory
  const recovering = recoverLedger({ ...common, requests, attempts, bufferBytes, signal: ending })
  const recovered = await ownership.leavingAtEnd(recovering, worker)
  const { checkpoint } = recovered
  let slices: PassedSlices | null = null
  const ledger = new AttemptLedger({
    ...{ io, ownership, attempts, retry, captured },
    position: checkpoint.offset,
    run: checkpoint.run,
    counts: checkpoint.counts,
    firstAttempts: new Map([...recovered.known].map(([offset, known]) => [offset, known.firstAttempt])),
    attemptsEnd: ownership.markerOffset(attempts) + 1,
    abort: worker.abort,
    isAwaited: () => slices?.isAwaited === true,
    onMarked: () => backlog.now(),
    onFurther: () => worker.entry?.cameFurther(),
  })
  await using backlog = showBacklog({ log, stageMetrics: deps.stageMetrics, run, worker, ledger, requests })
  const recent = new RecentCounts(() => reportOf({ deps, run, attempts }))
  const own = { ownership, recovered, ledger, recent }
  const parts = { deps, run, worker, ...own, requests, attempts, retry, share, againShare }
  const delivery = new PartitionDelivery(parts)
  slices = delivery.slices
  await delivery.work()
}

/**
 * States: no run open → a run open (at its `run-begin`, or at its first request after a takeover) → no run
 * open (at its `run-end`). A run that has ended and cannot be opened is skipped instead.
 */
class PartitionDelivery {
  readonly #parts: DeliveryParts
  readonly #reporter: PartitionReporter
  #open: OpenRun | null = null
  readonly #maybeSent: MaybeSent
  readonly #passed = new PassedRun(run => this.#isOver(run))
  readonly #order = new KeyOrder()
  readonly #removals: RemovalsFirst
  readonly slices: PassedSlices
  readonly #room: WorkRoom
  /** The wait of a run that is being opened, for example for a secret; else null. */
  #openingWait: WaitNow | null = null
  /**
   * The offset up to which this process has taken the topic into work, the run that is open there, and its
   * first change without a request.
   */
  #taken: { readonly offset: number; readonly run: number | null; readonly nextChange: number }
  readonly #takes = new Notifier()
  /**
   * The run that this process is about to end without its renderer. From the offset `from` of `requests` on,
   * none of its requests are sent.
   */
  #stopped: { readonly run: number; readonly from: number } | null = null
  /** The end of `requests` when no request of a predecessor could arrive any more; null before that. */
  #quietFrom: number | null = null
  /**
   * Aborts, with the error, when this process has not reached the limits store for some time. Another process
   * should take over then.
   */
  readonly #unreachable = new AbortController()
  readonly #ending: AbortSignal

  constructor(parts: DeliveryParts) {
    this.#parts = parts
    const arriveUntil = parts.deps.lateSends.ofPredecessor(partitionName(parts))
    this.#maybeSent = new MaybeSent(parts.recovered.clean, arriveUntil)
    this.#reporter = new PartitionReporter({ ...parts, ...parts.deps }, () => reportOf(parts))
    this.#room = new WorkRoom(parts)
    this.#taken = { offset: parts.recovered.checkpoint.offset, run: null, nextChange: 0 }
    const { deps, worker, retry } = parts
    this.slices = new PassedSlices({ ...parts, io: deps.io, retry, abort: worker.abort }, signal =>
      this.#untilSlicesMayGo(signal),
    )
    this.#removals = new RemovalsFirst(parts, { maybeSent: this.#maybeSent, reporter: this.#reporter })
    this.#ending = endingOf(parts.worker, parts.ledger.failure, this.#unreachable.signal)
  }

  async work(): Promise<void> {
    const { deps, run, worker, ledger, recovered, requests } = this.#parts
    const { log, io } = deps
    const unreachable = this.#unreachable.signal
    const ending = this.#ending
    const from = recovered.checkpoint.offset
    const options = { from, yieldsTorn: true, bufferBytes: deps.memory.readerBytes, signal: ending } as const
    const reading = { log, io, incarnation: run.incarnation, stage: 'requests', target: requests } as const
    const ended = new AbortController()
    const working = AbortSignal.any([ending, ended.signal])
    const passing = this.slices.passOn(working).catch((error: unknown) => ledger.fail(error))
    const reporting = this.#report(working)
    try {
      await this.#takeSliceBefore(from, ending)
      for await (const batch of readOwned({ ...reading, ...options })) {
        for (const placed of batch.records) if (!this.#takeAtOnce(placed)) await this.#take(placed, ending)
        ledger.skipTo(batch.nextOffset)
        const open = this.#open
        const nextChange = open?.fault?.from ?? open?.nextChange ?? 0
        this.#taken = { offset: batch.nextOffset, run: open?.begin.run ?? null, nextChange }
        this.#takes.notify()
      }
    } catch (error) {
      if (!ending.aborted) throw error
    } finally {
      ended.abort()
      await this.#reporter.handOver(this.#open?.sending.stop())
      this.#open?.early[Symbol.dispose]()
      // Answers that have arrived are recorded, even if an error ends the work.
      await ledger.flushed({ signal: worker.abort }).catch(() => undefined)
      await Promise.all([reporting, passing])
    }
    ledger.failure.throwIfAborted()
    if (!worker.abort.aborted) await this.#release()
    // All that was under way is recorded and released, so the successor starts clean.
    if (!worker.drain.aborted && !worker.abort.aborted) unreachable.throwIfAborted()
  }

  /** Reports progress on `runs`, and ends a run there whose renderer cannot go on. */
  async #report(signal: AbortSignal): Promise<void> {
    const { deps, run, worker, ledger, attempts, requests } = this.#parts
    const finished: Parameters<typeof endWithoutRenderer>[0]['finished'] = async number => {
      const { end } = await deps.log.offsets(requests, { signal })
      if (this.#stopped?.run !== number) this.#stopped = { run: number, from: end }
      while (this.#taken.offset < end) await this.#takes.after(this.#takes.version, { signal })
      const { run: taken, nextChange } = this.#taken
      await ledger.done({ signal })
      await this.#untilNoneIsLate(signal)
      return {
        counts: ledger.run === number ? ledger.counts : {},
        nextChange: taken === number ? nextChange : 0,
        died: worker.entry?.diedIn(number) ?? 0,
      }
    }
    const { partition } = attempts
    const asked = { runs: deps.runs, run, partition, reporter: this.#reporter, finished }
    await Promise.all([
      this.#reporter.reportProgress(ledger, () => this.#waitsFor, signal),
      endWithoutRenderer(asked, { signal }).catch((error: unknown) => ledger.fail(error)),
    ])
  }

  /** The wait that keeps the partition from sending; null while it sends. */
  get #waitsFor(): WaitNow | null {
    return (
      this.#openingWait ?? this.#maybeSent.waitsFor ?? this.#open?.sending.waitsFor ?? this.#removals.waitsFor
    )
  }

  async #take(placed: Placed, ending: AbortSignal): Promise<void> {
    const { ledger } = this.#parts
    const { record, offset } = placed
    const marker = markerOf(record)
    if (placed.torn !== undefined) return this.#passed.takeTorn(placed.torn, this.#open?.begin.run ?? null)
    if (marker?.kind !== 'run-begin' && this.#passes(record, marker))
      return this.#passOver(placed, marker, ending)
    if (record?.name === 'sluice.Request') await this.#takeRequest(placed, record.value, ending)
    else if (record?.name === 'sluice.Unrenderable')
      await this.#takeUnrenderable(placed, record.value, ending)
    else if (record?.name === 'sluice.Slice') await this.#takeSlice(offset, record.value, ending)
    else if (marker?.kind === 'run-begin' && marker.begin !== null) {
      await this.#closeBefore(marker.begin, ending)
      ledger.skipTo(offset + 1)
      ledger.beginRun(marker.begin.run)
      this.#reporter.phases.began(marker.begin.run, placed.timestamp)
      await this.#tryToOpen(marker.begin, ending, 0)
    } else if (marker?.kind === 'run-end') {
      this.#reporter.phases.rendered(placed.timestamp)
      await this.#endRun(offset, marker, ending)
    }
  }

  #passes(record: Typed | null, marker: Marker | null): boolean {
    if (this.#open !== null) return false
    const isOfRun =
      record?.name === 'sluice.Request' ||
      record?.name === 'sluice.Unrenderable' ||
      record?.name === 'sluice.Slice'
    const run = isOfRun ? record.value.run : (marker?.begin?.run ?? null)
    return run !== null && this.#passed.passes(run)
  }

  /**
   * Takes a record of a run that is skipped. It writes the effects of answered rows, since later rows may
   * need these effects. Other rows have none.
   */
  async #passOver({ offset, record }: Placed, marker: Marker | null, ending: AbortSignal): Promise<void> {
    const { ledger, recovered } = this.#parts
    const history = recovered.known.get(offset)?.history
    if (marker?.kind === 'run-end') await this.#close(marker.begin, ending)
    else if (record?.name === 'sluice.Request' && history !== undefined && history.ended.length > 0) {
      await ledger.room(() => ledger.unfinished < MAX_PASSED_OVER, { signal: ending })
      ledger.start(offset)
      const { rows } = record.value
      const open = history.parts.flatMap(part => rowsAt(rows, part.positions))
      const stillOpen = new Set(open.map(({ seq }) => seq))
      const effects = effectsOf({ ...record.value, ...history, stillOpen })
      ledger.record({ requestOffset: offset, attempt: null, effects, release: null })
    }
  }

  /** Closes the run that comes before `next`, if that run has ended without a `run-end` in the topic. */
  async #closeBefore(next: RunBegin, ending: AbortSignal): Promise<void> {
    const run = this.#open?.begin.run ?? this.#passed.run
    if (run !== null && !(await this.#isOverByNow(run, ending)))
      throw new SluiceError('corrupt', `run ${next.run} begins inside run ${run}`)
    if (run !== null) await this.#close(this.#open?.begin ?? null, ending)
    this.#passed.end()
  }

  /** Closes a run whose end another stage has decided. */
  async #close(begin: RunBegin | null, ending: AbortSignal): Promise<void> {
    const { ledger } = this.#parts
    await ledger.done({ signal: ending })
    await this.#open?.sending.stop()
    await this.#untilNoneIsLate(ending)
    if (this.#open === null) this.#maybeSent.runPassedOver()
    // While requests of an earlier run may arrive, no marker is written. So a successor waits for them, too.
    if (!this.#maybeSent.isOfEarlierRun) await ledger.mark({ ...plainMarker('run-end', '', 0), begin })
    this.#closed()
  }

  #closed(): void {
    this.#maybeSent.areFinished()
    this.slices.clear()
    this.#reporter.stream = null
    this.#order.clear()
    this.#open?.early[Symbol.dispose]()
    this.#open = null
    this.#passed.end()
  }

  #isOver(run: number): boolean {
    const { deps, run: own } = this.#parts
    return isOver(deps.runs.of(own.sync), own.incarnation, run)
  }

  /**
   * True if the run has ended. The detector writes the end of a run before it begins the next run. The view
   * of this process may be behind.
   */
  async #isOverByNow(run: number, ending: AbortSignal): Promise<boolean> {
    const { deps, run: own } = this.#parts
    if (!this.#isOver(run)) await deps.runs.caughtUp(homePartition(own.sync), { signal: ending })
    return this.#isOver(run)
  }

  /** Takes a request into work if it need not wait, which is nearly always so. Else returns false. */
  #takeAtOnce(placed: Placed): boolean {
    const open = this.#open
    const { record, offset, bytes } = placed
    if (open === null || record?.name !== 'sluice.Request' || isReplayed(record.value)) return false
    if (this.#removals.mustWait(open, record.value)) return false
    const memory = this.#room.tryTake(open, { record: record.value, recordBytes: bytes })
    if (memory === null) return false
    if (inSequence(open, offset, record.value)) this.#begin(open, placed, { request: record.value, memory })
    else memory.done()
    return true
  }

  async #takeRequest(placed: Placed, request: Request, ending: AbortSignal): Promise<void> {
    const { ledger } = this.#parts
    const { offset, bytes } = placed
    const open = await this.#runOf(request, ending)
    if (open === null) return this.#passOver(placed, null, ending)
    if (!inSequence(open, offset, request)) return
    const alone = open.begin.removalsFirst === true
    if (isReplayed(request)) await this.#order.turn({ offset, rows: request.rows, alone }, ledger, ending)
    else if (this.#removals.mustWait(open, request)) await this.#removals.untilFinished(open, ending)
    const memory = await this.#room.take(open, { record: request, recordBytes: bytes, signal: ending })
    this.#begin(open, placed, { request, memory })
  }

  #begin(
    open: OpenRun,
    { offset, timestamp }: Placed,
    { request, memory }: { readonly request: Request; readonly memory: RequestMemory },
  ): void {
    const { ledger, recovered } = this.#parts
    const known = recovered.known.get(offset)
    this.#reporter.phases.tookRequest()
    ledger.start(offset, timestamp)
    const effects = answeredEffects(request, known?.history)
    if (effects !== null)
      return ledger.record({ requestOffset: offset, attempt: null, effects, release: () => memory.done() })
    const history = this.#maybeSent.historyOf(known?.history, maxMaybeSent(open.target))
    const stopped = this.#stopped
    const why = stopped?.run === request.run && offset >= stopped.from ? STAGE_ENDED : null
    open.sending.take(new OpenRequest(offset, history, memory), request, why)
  }

  async #takeUnrenderable(
    { offset, bytes }: Placed,
    record: Unrenderable,
    ending: AbortSignal,
  ): Promise<void> {
    const { ledger, recovered } = this.#parts
    const open = await this.#runOf(record, ending)
    if (open === null || !inSequence(open, offset, record)) return
    const memory = await this.#room.take(open, { record, recordBytes: bytes, signal: ending })
    const known = recovered.known.get(offset)
    ledger.start(offset)
    const recorded = known?.history.ended.at(-1)?.attempt ?? null
    const { target } = open
    const { runId } = open.begin
    const { attempt, effects } = unrenderableEnd(offset, record, { runId, target, recorded })
    ledger.record({ requestOffset: offset, attempt, effects, release: () => memory.done() })
  }

  /** Takes the end of a slice, which is passed on once all requests before it are finished. */
  async #takeSlice(offset: number, slice: Slice, ending: AbortSignal): Promise<void> {
    const { ledger } = this.#parts
    const open = await this.#runOf(slice, ending)
    if (open === null) return
    if (endsInSequence(open, slice)) {
      ledger.skipTo(offset + 1)
      this.slices.take(offset, slice)
    } else if (open.fault !== null && this.#reporter.lastEnded < open.begin.run)
      await this.#reporter.reportFault(open.begin.run, open.fault)
  }

  /**
   * Takes the last end of a slice before the offset where this owner goes on. Its predecessor may have ended
   * before it passed that on.
   */
  async #takeSliceBefore(from: number, ending: AbortSignal): Promise<void> {
    const { deps, run, requests: target } = this.#parts
    const { log, io, definitions } = deps
    const isStream = async (begin: number): Promise<boolean> => {
      const found = await runBeginAt(this.#parts, begin, { signal: ending })
      if (found === null || this.#isOver(found.begin.run)) return false
      return isStreamed((await definitions.get(found.begin.definition, { signal: ending })).sync)
    }
    const reading = { log, io, incarnation: run.incarnation, target, isStream, signal: ending }
    const placed = await sliceBefore(from, reading)
    if (placed?.record.name !== 'sluice.Slice') return
    const slice = placed.record.value
    // Requests between the slice and that offset are not read again, so their number says nothing here.
    if (!this.#isOver(slice.run) && (await this.#runOf(slice, ending)) !== null)
      this.slices.take(placed.offset, slice)
  }

  /**
   * Returns the open run of a record; null for a run that is skipped. After a takeover in the middle of a
   * run, the first record says where its run begins.
   */
  async #runOf(record: Request | Unrenderable | Slice, signal: AbortSignal): Promise<OpenRun | null> {
    if (this.#open !== null) return this.#open
    const { requests, ledger, recovered } = this.#parts
    const found = record.begin === null ? null : await runBeginAt(this.#parts, record.begin, { signal })
    if (found !== null) {
      if (recovered.checkpoint.run !== found.begin.run) ledger.beginRun(found.begin.run)
      this.#reporter.phases.began(found.begin.run, found.timestamp)
      return await this.#tryToOpen(found.begin, signal, null)
    }
    const error = new SluiceError(
      'corrupt',
      `no run begins at offset ${String(record.begin)} of ${requests.topic}`,
    )
    this.#passed.begin(record.run, error)
    return null
  }

  /** Opens a run. Returns null for a run that has ended and cannot be opened: it is skipped. */
  async #tryToOpen(begin: RunBegin, signal: AbortSignal, nextSeq: number | null): Promise<OpenRun | null> {
    try {
      this.#open = await openRun(
        this.#parts,
        {
          begin,
          nextSeq,
          isOver: run => this.#isOver(run),
          onUnreachable: error => this.#unreachable.abort(error),
          waitsFor: wait => (this.#openingWait = wait),
          beforeSending: (target, until) => this.#maybeSent.beforeSending(target, until),
        },
        signal,
      )
      const { isStream } = this.#open
      this.#reporter.stream = isStream ? { run: begin.run, slice: () => this.slices.lastOf(begin.run) } : null
      await this.#reporter.reportGoesOn()
    } catch (error) {
      if (signal.aborted) throw error
      this.#passed.begin(begin.run, error)
    }
    return this.#open
  }

  async #endRun(offset: number, end: Marker, ending: AbortSignal): Promise<void> {
    const { ledger, recovered, worker } = this.#parts
    const { begin } = end
    if (begin === null) throw new SluiceError('corrupt', `a run-end marker at offset ${offset} names no run`)
    if (this.#open === null && recovered.checkpoint.run !== begin.run) ledger.beginRun(begin.run)
    await ledger.done({ signal: ending })
    await this.#open?.sending.stop()
    const fault = this.#open?.fault ?? faultOf(end, this.#open) ?? unsentFault(this.#open)
    await this.#untilNoneIsLate(ending)
    await this.slices.done({ signal: ending })
    const certificates = this.#open?.target.certificates.all ?? []
    const deaths = (end.deaths?.all ?? 0) + (worker.entry?.diedIn(begin.run) ?? 0)
    const report = { begin, counts: ledger.counts, fault, requestsEnd: offset + 1, certificates, deaths }
    await abortable(this.#reporter.reportEnd(report), { signal: ending })
    ledger.skipTo(offset + 1)
    const { count, sealed } = end
    await ledger.mark({ ...plainMarker('run-end', '', 0), begin, count, sealed })
    this.#closed()
  }

  async #untilNoneIsLate(signal: AbortSignal, options?: { readonly isShown: boolean }): Promise<void> {
    if (this.#open !== null) await this.#maybeSent.untilNoneIsLate(this.#open.target, signal, options)
  }

  /**
   * A key of a slice that is passed on may be sent again, and must not be overtaken by a request of a
   * predecessor. Once all requests that were there when none could arrive any more are finished, too, nothing
   * of the predecessor is left.
   */
  async #untilSlicesMayGo(signal: AbortSignal): Promise<void> {
    await this.#untilNoneIsLate(signal, { isShown: false })
    if (!this.#maybeSent.remains) return
    const { deps, requests, ledger } = this.#parts
    this.#quietFrom ??= (await deps.log.offsets(requests, { signal })).end
    if (ledger.position >= this.#quietFrom) this.#maybeSent.areFinished()
  }

  /**
   * Hands over cleanly. While requests of its predecessor may arrive, it writes no `release`, so that the
   * successor waits for them, too.
   */
  async #release(): Promise<void> {
    const { ledger, worker, ownership } = this.#parts
    await ledger.flushed({ signal: worker.abort })
    if (!this.#maybeSent.remains) await ledger.mark(plainMarker('release', '', 0))
    await ownership.leave({ signal: worker.abort })
  }
}
