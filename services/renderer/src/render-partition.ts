/**
 * Renders one partition of a sync's changes into requests. It depends on its topics alone: position and
 * context follow from the last record that an earlier renderer wrote (PROTOCOL.md §5, §7).
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { AnyRow } from '@sluice/contracts/avro/encoded-row'
import type { Change, Marker, RunBegin, RunEvent, Slice } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import type { Op } from '@sluice/contracts/state'
import { namingColumns } from '@sluice/domain/answers/row-results'
import { boundedOrNull } from '@sluice/domain/bounded-text'
import { ERROR_BYTES } from '@sluice/domain/record-sizes'
import { endingOf } from '@sluice/flow/ends'
import type { ByteShare } from '@sluice/flow/byte-budget'
import { isLongTurn, nextTurn } from '@sluice/flow/sleep'
import type { MessageLog, NewRecord, TopicPartition } from '@sluice/message-log/port'
import { NO_STAGE_METRICS, type StageMetrics } from '@sluice/partition/stage-metrics'
import { lastOwnRecord, markerOf, readOwnedKeepingRows, type Placed } from '@sluice/topics/owned-reader'
import type { Worker } from '@sluice/partition/own-partitions'
import type { RecordIo } from '@sluice/topics/record-io'
import { isOver, type RunsView } from '@sluice/runs/runs-view'
import type { Definitions } from '@sluice/resources/stored-documents'
import { PositionHints } from '@sluice/partition/position-hints'
import { NO_PRECAUTIONS, type Precautions } from '@sluice/partition/deaths/count-deaths'
import { plainMarker, takeOver, type Ownership } from '@sluice/partition/take-over'
import { at, markerKey, sliceKey, syncTopics } from '@sluice/topics/topics'
import { Patience, SlowRender, type CompiledTrigger } from '@sluice/templates/compile'
import { compileTriggers } from '@sluice/templates/rendering/render-changes'
import {
  changesBefore,
  endsItsBatch,
  firstOfBatch,
  lastChangeOf,
  positionOf,
  readRunBegin,
} from './last-batch.ts'
import type { BatchContext, Rendered, RenderElsewhere } from '@sluice/templates/rendering/render-batch'
import { ONE_ROW, RowBatches, type RowBatch } from '@sluice/templates/rendering/row-batches'
import { notRendered, renderDivided, renderPlaced, type RenderAlone } from './render-placed.ts'
import { RequestAppends } from './request-appends.ts'
import { RequestRecords } from './request-records.ts'
import type { RenderRoom } from './renderer-memory.ts'

export interface RenderDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly definitions: Definitions
  readonly runs: RunsView
  readonly stageMetrics?: StageMetrics | undefined
  readonly prefix: string
  /** The memory that all partitions of this process share. */
  readonly room: RenderRoom
  /**
   * Renders batches that take long in another thread. If absent, this thread renders them, and other
   * partitions wait.
   */
  readonly renderElsewhere?: RenderElsewhere | undefined
  /** The limit of an append of several records, in bytes; default 8 MB. */
  readonly maxAppendBytes?: number
}

const NOTHING_RENDERED: Pick<RunContext, 'triggers' | 'definition'> & { readonly naming: readonly string[] } =
  {
    triggers: new Map(),
    definition: null,
    naming: [],
  }

/** The state of the open run. */
interface RunContext {
  readonly begin: RunBegin
  readonly triggers: ReadonlyMap<Op, CompiledTrigger>
  readonly definition: Definition | null
  readonly render: BatchContext
  readonly batches: RowBatches
  readonly records: RequestRecords
  /** The seq that the next change must have. After a gap, the run is not rendered further. */
  nextChange: number
  /** The seq of the last change with a request, if a predecessor died within that batch; else −1. */
  written: number
  fault: { readonly from: number; readonly error: string } | null
  /** True if the run had ended before this renderer opened it. Its rest is not rendered. */
  readonly hasEnded: boolean
  /** The precautions after renderers died here before (PROTOCOL.md §11). */
  readonly precautions: Precautions
}

/**
 * Renders the partition until it is drained or aborted. Rejects with `fenced` or a retryable error if the
 * partition has to be taken over again.
 */
export async function renderPartition(deps: RenderDeps, run: RunEvent, worker: Worker): Promise<void> {
  using share = deps.room.output.open()
  const renderer = new PartitionRenderer(deps, run, { worker, share })
  // Without stage metrics, nobody reads positions.
  await using hints = new PositionHints(worker, {
    position: () => (deps.stageMetrics ? renderer.position : null),
  })
  renderer.hints = hints
  await renderer.work()
}

class PartitionRenderer {
  readonly #deps: RenderDeps
  readonly #metrics: StageMetrics
  readonly #run: RunEvent
  readonly #worker: Worker
  readonly #input: TopicPartition
  readonly #output: TopicPartition
  #ownership: Ownership | null = null
  /** Changes below this offset are rendered. It is a hint for people, since a successor reads `requests`. */
  position: number | null = null
  hints: PositionHints | null = null
  #context: RunContext | null = null
  /** The permission to have a large batch open; null while this partition has none. */
  #largeBatch: Disposable | null = null
  readonly #requests: RequestAppends
  /** The wait for batches that are rendered elsewhere, or for the next turn of the event loop. */
  #rest: Promise<void> | null = null
  #ending: AbortSignal

  constructor(
    deps: RenderDeps,
    run: RunEvent,
    { worker, share }: { readonly worker: Worker; readonly share: ByteShare },
  ) {
    this.#deps = deps
    this.#metrics = deps.stageMetrics ?? NO_STAGE_METRICS
    this.#run = run
    this.#worker = worker
    this.#ending = worker.abort
    const topics = syncTopics(deps.prefix, run.sync)
    this.#input = at(topics.changes, worker.target.partition)
    this.#output = at(topics.requests, worker.target.partition)
    this.#requests = new RequestAppends({
      append: (records, options) => this.#owned().append(this.#output, records, options),
      share,
      abort: worker.abort,
      maxAppendBytes: deps.maxAppendBytes,
    })
  }

  async work(): Promise<void> {
    const { log, io, prefix } = this.#deps
    const { sync, incarnation } = this.#run
    const { partition } = this.#worker.target
    const ending = endingOf(this.#worker, this.#requests.failed)
    this.#ending = ending
    const options = { log, io, prefix, sync, partition, incarnation, signal: ending }
    const { entry, abort } = this.#worker
    await using ownership = await takeOver({
      ...options,
      stage: 'requests',
      targets: [this.#output],
      entry,
      abort,
    })
    this.#ownership = ownership
    try {
      let from: number | null = await this.#restore(ending)
      while (from !== null) from = await this.#render(from, ending)
    } catch (error) {
      if (!ending.aborted) throw error
    } finally {
      this.#largeBatch?.[Symbol.dispose]()
    }
    await this.#requests.done()
    if (!this.#worker.abort.aborted) await ownership.leave({ signal: this.#worker.abort })
  }

  /**
   * Renders the changes from this offset on. Returns the offset from which to read again; null at the end.
   */
  async #render(from: number, signal: AbortSignal): Promise<number | null> {
    const { log, io, room } = this.#deps
    const { incarnation } = this.#run
    const options = { log, io, incarnation, stage: 'changes', target: this.#input, signal } as const
    for await (const batch of readOwnedKeepingRows({ ...options, from, bufferBytes: room.readerBytes })) {
      for (const placed of batch.records) {
        if (!this.#hasRoom(placed)) return await this.#readAgain(placed, signal)
        // Most changes need no wait, and a promise for each would cost as much as rendering it.
        const taken = this.#take(placed)
        if (taken !== null) {
          await taken
          signal.throwIfAborted()
        }
        if (this.#largeBatch !== null) await this.#releaseLargeBatch()
      }
      // A small append costs as much as a large one, so requests wait until the whole batch is read.
      if (batch.isPart) continue
      await this.#requests.append()
      this.position = batch.nextOffset
      if (this.#context === null) this.hints?.now()
    }
    return null
  }

  /**
   * Returns false if the batch or row is larger than this partition's part of the memory, and no permission
   * for a large batch is free.
   */
  #hasRoom({ bytes }: Placed<AnyRow>): boolean {
    const { room } = this.#deps
    const context = this.#context
    // Outside of a run, and behind a gap, no row stays in memory.
    if (this.#largeBatch !== null || context === null || context.fault !== null) return true
    if (context.batches.openBytes + bytes <= room.batchBytes) return true
    this.#largeBatch = room.largeBatches.tryTake()
    return this.#largeBatch !== null
  }

  /**
   * Drops the open batch, and waits for the permission for a large one. Returns the offset of the batch's
   * first change, which is read again.
   */
  async #readAgain({ offset }: Placed<AnyRow>, signal: AbortSignal): Promise<number> {
    await this.#requests.append()
    const context = this.#context
    const first = context?.batches.forget() ?? null
    if (context !== null && first !== null) context.nextChange = first.seq
    this.#largeBatch = await this.#deps.room.largeBatches.take({ signal })
    return first?.offset ?? offset
  }

  /** Gives the permission back once the large batch is closed and its requests are appended. */
  async #releaseLargeBatch(): Promise<void> {
    if (this.#largeBatch === null || (this.#context?.batches.openBytes ?? 0) > 0) return
    await this.#requests.append()
    this.#largeBatch[Symbol.dispose]()
    this.#largeBatch = null
  }

  /** Restores the context of the last renderer. Returns the offset in `changes` from which to go on. */
  async #restore(signal: AbortSignal): Promise<number> {
    const { log, io } = this.#deps
    const { incarnation } = this.#run
    const last = await lastOwnRecord({
      log,
      io,
      target: this.#output,
      incarnation,
      stage: 'requests',
      signal,
    })
    const record = last?.record ?? null
    if (last === null || record === null) return (await log.offsets(this.#input, { signal })).low
    const marker = markerOf(record)
    if (marker !== null) {
      if (marker.kind === 'run-begin' && marker.begin !== null)
        this.#context = await this.#openContext(marker.begin, last.offset, signal)
      return positionOf(marker)
    }
    if (
      record.name !== 'sluice.Request' &&
      record.name !== 'sluice.Unrenderable' &&
      record.name !== 'sluice.Slice'
    )
      throw new SluiceError('corrupt', `a ${record.name} record is in ${this.#output.topic}`)
    const reading = { log, io, input: this.#input, output: this.#output, signal }
    const begin = await readRunBegin(record.value, reading)
    const context = await this.#openContext(begin.begin, begin.offset, signal)
    this.#context = context
    if (record.name === 'sluice.Slice') {
      const { count, input } = record.value
      if (count === null || input === null)
        throw new SluiceError('corrupt', `the end of a slice lacks its place, at offset ${last.offset}`)
      context.records.nextSeq = count
      if (!context.hasEnded) context.nextChange = await changesBefore(record.value, input, reading)
      return input
    }
    const { seq, changesStart, changesEnd } = record.value
    const lastChange = lastChangeOf(record.value)
    if (await endsItsBatch(record.value, reading)) {
      context.records.nextSeq = seq + 1
      context.nextChange = lastChange + 1
      return changesEnd
    }
    const first = await firstOfBatch(record.value, last.offset, reading)
    // If processes may have died at a row of this partition, rows are rendered one by one. The written
    // requests of the batch then do not fit, and only the rest of the batch is rendered.
    context.records.nextSeq = context.precautions.isSuspect ? seq + 1 : first.seq
    context.nextChange = first.rows[0]?.seq ?? 0
    context.written = lastChange
    return changesStart
  }

  async #openContext(begin: RunBegin, runBeginOffset: number, signal: AbortSignal): Promise<RunContext> {
    const { sync, incarnation } = this.#run
    // The rest of a run that has ended is not rendered. The next run takes it as unknown, and sends it again.
    const hasEnded = isOver(this.#deps.runs.of(sync), incarnation, begin.run)
    const precautions = this.#worker.entry?.precautionsIn(begin.run) ?? NO_PRECAUTIONS
    const { triggers, definition, naming } = hasEnded
      ? NOTHING_RENDERED
      : await this.#renderingOf(begin, signal)
    return {
      begin,
      triggers,
      definition,
      render: {
        run: { id: begin.runId, startedAt: new Date(begin.startedAt).toISOString() },
        sync: { name: sync },
        naming,
      },
      records: new RequestRecords(this.#deps.io, this.#output.partition, {
        incarnation,
        owner: this.#owned().markerOffset(this.#output),
        run: begin.run,
        begin: runBeginOffset,
      }),
      batches: new RowBatches(op => {
        const limits = triggers.get(op)?.batch ?? ONE_ROW
        return precautions.isOneByOne(limits.size) ? ONE_ROW : limits
      }),
      nextChange: 0,
      written: -1,
      fault: hasEnded ? { from: 0, error: `run ${begin.run} had ended before all of it was rendered` } : null,
      hasEnded,
      precautions,
    }
  }

  async #renderingOf({ definition: hash }: RunBegin, signal: AbortSignal): Promise<typeof NOTHING_RENDERED> {
    const definition = await this.#deps.definitions.get(hash, { signal })
    return { triggers: compileTriggers(hash, definition), definition, naming: namingColumns(definition.sync) }
  }

  /** Takes a record. Returns null if that needs no wait. */
  #take(placed: Placed<AnyRow>): Promise<void> | null {
    const { record } = placed
    if (record?.name !== 'sluice.Change' || record.value.replayed !== null) return this.#takeRare(placed)
    if (this.#follows(placed.offset, record.value)) this.#takeChange(placed, record.value)
    return this.#rest === null
      ? this.#appendIfMany()
      : this.#finishRendering().then(() => this.#appendIfMany() ?? undefined)
  }

  #appendIfMany(): Promise<void> | null {
    // The next row may end the process. Its successor then has to find all requests before that row.
    if (this.#context?.precautions.isCautious === true)
      return this.#requests.append().then(() => this.#requests.done())
    return this.#requests.areMany ? this.#requests.append() : null
  }

  async #takeRare({ offset, record }: Placed<AnyRow>): Promise<void> {
    if (record?.name === 'sluice.Change') {
      const { replayed } = record.value
      if (this.#follows(offset, record.value) && replayed !== null) await this.#replay(offset, replayed)
    }
    const marker = markerOf(record)
    if (marker?.kind === 'run-begin' && marker.begin !== null) await this.#beginRun(offset, marker.begin)
    if (marker?.kind === 'run-end') await this.#endRun(offset, marker)
    if (record?.name === 'sluice.Slice') await this.#endSlice(offset, record.value)
    if (this.#requests.areMany) await this.#requests.append()
  }

  /**
   * Returns true if this is the next change of the open run. If changes are missing before it, notes the
   * fault of the run.
   */
  #follows(offset: number, change: Change<AnyRow>): boolean {
    const context = this.#context
    // Changes before the first run-begin belong to runs that ended long ago. Compaction has dropped their
    // markers.
    if (context === null || context.fault !== null) return false
    if (change.seq !== context.nextChange || change.run !== context.begin.run) {
      this.#renderAll(context.batches.flush())
      const found = `seq ${change.seq} of run ${change.run} follows at offset ${offset}`
      const error = `changes lack seq ${context.nextChange} of run ${context.begin.run}: ${found}`
      context.fault = { from: context.nextChange, error }
      return false
    }
    context.nextChange += 1
    return true
  }

  #takeChange({ offset, bytes }: Placed<AnyRow>, change: Change<AnyRow>): void {
    const context = this.#context
    if (context === null || change.op === 'settled') return
    const { precautions, batches, written } = context
    if (change.seq <= written && precautions.isSuspect) return
    this.#renderAll(batches.add(change.op, { offset, bytes, change }))
  }

  /** Writes a recorded request again, with a place in this run. */
  async #replay(offset: number, replayed: Uint8Array): Promise<void> {
    const context = this.#context
    const [recorded] = await this.#deps.io.decode([replayed], { signal: this.#worker.abort })
    if (recorded?.name !== 'sluice.Request' || context === null)
      throw new SluiceError('corrupt', `a change at offset ${offset} carries no request`)
    this.#renderAll(context.batches.flush())
    await this.#finishRendering()
    this.#metrics.rendered(this.#run.sync, recorded.value.trigger, 'request')
    this.#requests.push(context.records.makeReplayed(recorded.value, offset))
  }

  async #beginRun(offset: number, begin: RunBegin): Promise<void> {
    if (this.#context !== null) {
      const { run } = this.#context.begin
      throw new SluiceError('corrupt', `run ${begin.run} begins inside run ${run}, at offset ${offset}`)
    }
    const ownership = this.#owned()
    const owner = ownership.markerOffset(this.#output)
    const marker = { ...plainMarker('run-begin', ownership.incarnation, owner), begin, position: offset + 1 }
    await this.#requests.append()
    const { baseOffset } = await ownership.append(this.#output, [this.#markerRecord(marker)], {
      signal: this.#worker.abort,
    })
    this.#context = await this.#openContext(begin, baseOffset, this.#worker.abort)
  }

  /** Closes the open batch, since the rows of the slice must not wait for those of the next one. */
  async #endSlice(offset: number, end: Slice): Promise<void> {
    const context = this.#context
    // A slice before the first run-begin belongs to a run whose marker compaction has dropped.
    if (context === null || context.hasEnded) return
    this.#renderAll(context.batches.flush())
    await this.#finishRendering()
    this.#expectChanges(context, end.count)
    // The run of a stream may last for an hour, so it must not go on to its end.
    if (context.fault !== null) throw new SluiceError('corrupt', context.fault.error)
    const { run, slice, committedAt } = end
    const { incarnation, owner, begin } = context.records.shared
    const value = this.#deps.io.encode('Slice', {
      ...{ incarnation, owner, run, slice, begin, committedAt },
      count: context.records.nextSeq,
      input: offset + 1,
      ...{ position: null, requestsEnd: null, attemptsEnd: null },
    })
    this.#requests.push({ key: sliceKey(this.#output.partition), value })
  }

  /** Notes the fault of a run that has another number of changes before the end of a slice or of the run. */
  #expectChanges(context: RunContext, count: number | null): void {
    if (context.fault !== null || count === context.nextChange) return
    const error = `changes end after seq ${context.nextChange - 1}, and ${count ?? 'an unknown number'} were written`
    context.fault = { from: context.nextChange, error }
  }

  async #endRun(offset: number, end: Marker): Promise<void> {
    const context = this.#context
    const ownership = this.#owned()
    if (context === null) throw new SluiceError('corrupt', `a run ends that never began, at offset ${offset}`)
    this.#renderAll(context.batches.flush())
    await this.#finishRendering()
    this.#expectChanges(context, end.count)
    this.#requests.push(
      this.#markerRecord({
        ...plainMarker('run-end', ownership.incarnation, ownership.markerOffset(this.#output)),
        begin: context.begin,
        count: context.records.nextSeq,
        sealed: end.sealed,
        faultedFrom: context.fault?.from ?? null,
        error: context.fault?.error ?? null,
        position: offset + 1,
        deaths: this.#deathsIn(context.begin.run),
      }),
    )
    await this.#requests.append()
    this.#context = null
  }

  /** Renders batches that take little time in this thread. `#rest` waits for the others. */
  #renderAll(batches: readonly RowBatch[]): void {
    const context = this.#context
    if (context === null || batches.length === 0) return
    for (const [place, batch] of batches.entries()) {
      const rendered = this.#renderHere(context, batch)
      if (rendered === null) {
        this.#rest = this.#renderElsewhere(context, batches.slice(place))
        return
      }
      this.#push(context, batch, rendered)
    }
    if (isLongTurn()) this.#rest = nextTurn()
  }

  /** Renders the first batch elsewhere, since it takes long, and then the others. */
  async #renderElsewhere(context: RunContext, [slow, ...others]: readonly RowBatch[]): Promise<void> {
    const { definition, begin, render } = context
    const { renderElsewhere } = this.#deps
    if (slow === undefined || definition === null || renderElsewhere === undefined) return
    const task = { definition, hash: begin.definition, context: render }
    const elsewhere: RenderAlone = batch => renderElsewhere(batch, task, { signal: this.#ending })
    this.#push(context, slow, await renderDivided(slow, elsewhere))
    this.#renderAll(others)
    await this.#finishRendering()
  }

  async #finishRendering(): Promise<void> {
    const rest = this.#rest
    this.#rest = null
    await rest
  }

  #push(context: RunContext, batch: RowBatch, rendered: readonly Rendered[]): void {
    for (const one of rendered) {
      if (lastChangeOf(one) <= context.written) {
        context.records.nextSeq += 1
        continue
      }
      this.#metrics.rendered(this.#run.sync, batch.op, one.kind)
      this.#requests.push(context.records.make(batch, one))
      context.precautions.goesOn()
    }
  }

  /** The deaths of renderers in this run, of which delivery informs the detector. */
  #deathsIn(run: number): Marker['deaths'] {
    const all = this.#worker.entry?.diedIn(run)
    return all === undefined || all === 0 ? null : { run, count: 0, all }
  }

  /** Renders a batch in this thread. Returns null for a batch that takes long. */
  #renderHere({ precautions, triggers, render }: RunContext, batch: RowBatch): readonly Rendered[] | null {
    const why = precautions.rejection()
    if (why !== null) return notRendered(batch, why)
    const context =
      this.#deps.renderElsewhere === undefined ? render : { ...render, patience: new Patience() }
    try {
      return renderPlaced(batch, triggers.get(batch.op), { context, input: this.#input })
    } catch (error) {
      if (error instanceof SlowRender) return null
      throw error
    }
  }

  #markerRecord(marker: Marker): NewRecord {
    const scope = `${this.#output.partition}`
    const error = boundedOrNull(marker.error, ERROR_BYTES)
    const value = this.#deps.io.encode('Marker', { ...marker, error })
    return { key: markerKey(marker.kind, scope), value }
  }

  #owned(): Ownership {
    if (this.#ownership === null) throw new SluiceError('internal', 'the partition is not taken over yet')
    return this.#ownership
  }
}
