/**
 * Renders some rows of a request again, from the changes of the request (PROTOCOL.md §8). The changes are
 * still in the topic, since the next run does not begin before this one has ended.
 */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Change, Request, RunBegin } from '@sluice/contracts/records'
import type { ByteShare } from '@sluice/flow/byte-budget'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { compileTriggers } from '@sluice/templates/rendering/render-changes'
import { renderBatch, type RenderElsewhere, type Rendered } from '@sluice/templates/rendering/render-batch'
import type { Definitions } from '@sluice/resources/stored-documents'
import { Patience, SlowRender } from '@sluice/templates/compile'
import { readOwned } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { DECODED_FACTOR } from '../delivery-memory.ts'
import { rowsAt } from '../ledger/request-history.ts'

export interface PartSource {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly definitions: Definitions
  readonly sync: string
  readonly begin: RunBegin
  readonly changes: TopicPartition
  /** Returns the most bytes that are read ahead. */
  readonly bufferBytes: () => number
  /** Returns the share for the memory of kept changes. */
  readonly share: () => ByteShare
  /** Renders in another thread what takes long. If absent, all is rendered here. */
  readonly renderElsewhere?: RenderElsewhere | undefined
  readonly signal: AbortSignal
}

/** The changes of a request, by seq. */
interface Kept {
  readonly seq: number
  readonly changes: ReadonlyMap<number, Change>
  readonly bytes: number
}

/**
 * Renders the parts of one run in one partition. A batch whose rows are all rejected makes twice as many
 * parts as it has rows. So its changes are kept from one part to the next, as long as there is memory for
 * them.
 */
export class PartRenderer {
  readonly #source: PartSource
  #kept: Kept | null = null

  constructor(source: PartSource) {
    this.#source = source
  }

  /**
   * Renders these rows, mostly as one request. Throws `corrupt` if their changes are gone, and `template` or
   * `config` as the definition does. Must not be called concurrently.
   */
  async render(request: Request, positions: readonly number[]): Promise<readonly Rendered[]> {
    const { definitions, sync, begin, changes: target, signal } = this.#source
    const { trigger: op, run, changesStart: start, changesEnd: end } = request
    const definition = await definitions.get(begin.definition, { signal })
    const trigger = compileTriggers(begin.definition, definition).get(op)
    const known = await this.#changesOf(request)
    const wanted = rowsAt(request.rows, positions)
    const changes = wanted.flatMap(({ seq }) => known.get(seq) ?? [])
    if (trigger === undefined || changes.length !== wanted.length)
      throw new SluiceError(
        'corrupt',
        `${wanted.length - changes.length} of the changes that request ${request.seq} of run ${run} was made of are ` +
          `gone from partition ${target.partition} of ${target.topic}`,
      )
    const startedAt = new Date(begin.startedAt).toISOString()
    const context = { run: { id: begin.runId, startedAt }, sync: { name: sync } }
    const batch = { op, changes, start, end }
    const { renderElsewhere } = this.#source
    if (renderElsewhere === undefined) return renderBatch(batch, trigger, context)
    try {
      return renderBatch(batch, trigger, { ...context, patience: new Patience() })
    } catch (error) {
      if (!(error instanceof SlowRender)) throw error
    }
    try {
      return await renderElsewhere(batch, { definition, hash: begin.definition, context }, { signal })
    } catch (error) {
      if (!isSluiceError(error, 'too-large')) throw error
      return [{ kind: 'unrenderable', error: error.message, lacks: null, rows: wanted }]
    }
  }

  /** Drops the kept changes if they belong to this request. Without a request, drops them in any case. */
  forget(request?: Pick<Request, 'seq'>): void {
    if (this.#kept === null || (request ?? this.#kept).seq !== this.#kept.seq) return
    this.#source.share().give(this.#kept.bytes)
    this.#kept = null
  }

  async #changesOf(request: Request): Promise<Kept['changes']> {
    if (this.#kept?.seq === request.seq) return this.#kept.changes
    this.forget()
    const { log, io, changes: target, bufferBytes, signal } = this.#source
    const { incarnation, run, changesStart: from, changesEnd: to } = request
    const wanted = new Set(request.rows.map(({ seq }) => seq))
    const changes = new Map<number, Change>()
    let size = 0
    const reading = { log, io, incarnation, stage: 'changes', target, signal } as const
    for await (const batch of readOwned({ ...reading, bufferBytes: bufferBytes(), from, to })) {
      for (const { record, bytes: recordBytes } of batch.records) {
        if (record?.name !== 'sluice.Change' || record.value.run !== run) continue
        if (!wanted.has(record.value.seq)) continue
        changes.set(record.value.seq, record.value)
        size += recordBytes
      }
    }
    const bytes = size * DECODED_FACTOR
    if (this.#source.share().tryTake(bytes)) this.#kept = { seq: request.seq, changes, bytes }
    return changes
  }
}
