/** Finds where a stream goes on: the position in the newest marker of a slice on `changes`. */
import type { StreamPosition } from '@sluice/contracts/records'
import type { MessageLog } from '@sluice/message-log/port'
import { lastOwnRecord } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { at } from '@sluice/topics/topics'

interface Found {
  readonly run: number
  readonly slice: number
  /** Null: a run over a table was last here. */
  readonly position: Uint8Array | null
  /** In ms since 1970. */
  readonly toldAt: number
}

export interface LastPosition {
  readonly position: StreamPosition
  /** When it was told, in ms since 1970. */
  readonly toldAt: number
}

/**
 * Resolves with null if no slice was ever written, or if a run over a table came after the last one: entries
 * from before that run are older than what it published.
 */
export async function lastPosition(options: {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly topic: string
  readonly partitions: number
  readonly incarnation: string
  readonly signal: AbortSignal
}): Promise<LastPosition | null> {
  const { log, io, topic, partitions, incarnation, signal } = options
  const found: Found[] = []
  for (let partition = 0; partition < partitions; partition += 1) {
    const reading = { log, io, target: at(topic, partition), incarnation, stage: 'changes', signal } as const
    const last = await lastOwnRecord({
      ...reading,
      matches: record =>
        record.name === 'sluice.Slice' || (record.name === 'sluice.Change' && !isStreamed(record.value)),
    })
    const { record, timestamp: toldAt = 0 } = last ?? {}
    if (record?.name === 'sluice.Slice') found.push({ ...record.value, toldAt })
    else if (record?.name === 'sluice.Change')
      found.push({ ...record.value, slice: 0, position: null, toldAt })
  }
  const newest = found.toSorted((a, b) => a.run - b.run || a.slice - b.slice).at(-1)
  if (newest?.position === undefined || newest.position === null) return null
  const [decoded] = await io.decode([newest.position], { signal })
  return decoded?.name === 'sluice.StreamPosition' ? { position: decoded.value, toldAt: newest.toldAt } : null
}

/** The settled changes of a replay keep the order that the state had. */
function isStreamed({ streamed }: { readonly streamed?: object | null }): boolean {
  return streamed !== undefined && streamed !== null
}
