/**
 * Renders some rows of a request again, from the changes that the request was made of (PROTOCOL.md §8). They
 * are still there: the next run does not begin before this one has ended.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Change, Request, RunBegin } from '@sluice/contracts/records'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { compileTriggers } from '@sluice/rendering/compile-triggers'
import { renderBatch, type Rendered } from '@sluice/rendering/render-batch'
import type { Definitions } from '@sluice/resources/stored-documents'
import { readOwned } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { rowsAt } from '../ledger/parts.ts'

export interface PartSource {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly definitions: Definitions
  readonly sync: string
  readonly begin: RunBegin
  readonly changes: TopicPartition
  /** How far is read ahead at most. */
  readonly bufferBytes: number
}

/**
 * The requests that these rows make: mostly one. Throws `corrupt` if their changes are gone, and `template`
 * or `config` as the definition does.
 */
export async function renderPart(
  source: PartSource,
  of: { readonly request: Request; readonly positions: readonly number[] },
  signal: AbortSignal,
): Promise<readonly Rendered[]> {
  const { log, io, definitions, sync, begin, changes: target, bufferBytes } = source
  const { request, positions } = of
  const { incarnation, trigger: op, run, changesStart: start, changesEnd: end } = request
  const definition = await definitions.get(begin.definition, { signal })
  const trigger = compileTriggers(begin.definition, definition).get(op)
  const wanted = new Set(rowsAt(request.rows, positions).map(({ seq }) => seq))
  const changes: Change[] = []
  const reading = { log, io, incarnation, stage: 'changes', target, bufferBytes, signal } as const
  for await (const batch of readOwned({ ...reading, from: start, to: end })) {
    for (const { record } of batch.records)
      if (record?.name === 'sluice.Change' && record.value.run === run && wanted.has(record.value.seq))
        changes.push(record.value)
  }
  if (trigger === undefined || changes.length !== wanted.size)
    throw new SluiceError(
      'corrupt',
      `${wanted.size - changes.length} of the changes that request ${request.seq} of run ${run} was made of are ` +
        `gone from partition ${target.partition} of ${target.topic}`,
    )
  const startedAt = new Date(begin.startedAt).toISOString()
  const context = { run: { id: begin.runId, startedAt }, sync: { name: sync } }
  return renderBatch({ op, changes, start, end }, trigger, context)
}
