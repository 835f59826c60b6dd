/**
 * How a stage becomes the one writer of its partitions (PROTOCOL.md §4). It opens a writer under the name
 * that its predecessor used, and writes a takeover marker to each partition. From then on the log refuses the
 * predecessor there, and a reader that reads past the marker has read all of the predecessor's records.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Marker } from '@sluice/contracts/records'
import type {
  AppendResult,
  FencedWriter,
  MessageLog,
  NewRecords,
  TopicPartition,
} from '@sluice/message-log/port'
import type { RecordIo } from '@sluice/topics/record-io'
import { markerKey, type StageName } from '@sluice/topics/topics'

export interface TakeOverOptions {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly stage: StageName
  readonly sync: string
  readonly incarnation: string
  readonly partition: number
  readonly targets: readonly TopicPartition[]
  readonly signal: AbortSignal
}

/** Ownership of some partitions, from takeover to release. */
export class Ownership implements AsyncDisposable {
  readonly incarnation: string
  readonly #writer: FencedWriter
  readonly #markers: ReadonlyMap<string, number>

  constructor(writer: FencedWriter, incarnation: string, markers: ReadonlyMap<string, number>) {
    this.#writer = writer
    this.incarnation = incarnation
    this.#markers = markers
  }

  /**
   * Offset of this owner's takeover marker in the partition. Each record of the owner names it as `owner`.
   */
  owner(target: TopicPartition): number {
    const marker = this.#markers.get(nameOf(target))
    if (marker === undefined) throw new SluiceError('internal', `nobody took over ${nameOf(target)}`)
    return marker
  }

  append(
    target: TopicPartition,
    records: NewRecords,
    options: { signal: AbortSignal },
  ): Promise<AppendResult> {
    return this.#writer.append(target, records, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}

/** Takes over the targets. Rejects with `fenced` if another takes over meanwhile, and as the log does. */
export async function takeOver(options: TakeOverOptions): Promise<Ownership> {
  const { log, io, prefix, stage, sync, incarnation, partition, targets, signal } = options
  const id = `${prefix}.${stage}.${sync}.${incarnation}.${partition}`
  const writer = await log.openWriter(id, { signal })
  try {
    const markers = new Map<string, number>()
    const record = {
      key: markerKey('takeover', `${stage}/${sync}/${partition}`),
      value: io.encode('Marker', takeoverMarker(incarnation)),
    }
    for (const target of targets) {
      const { baseOffset } = await writer.append(target, [record], { signal })
      markers.set(nameOf(target), baseOffset)
    }
    return new Ownership(writer, incarnation, markers)
  } catch (error) {
    await writer[Symbol.asyncDispose]()
    throw error
  }
}

/** A marker with nothing but its kind and owner; the caller adds what its kind carries. */
export function plainMarker(kind: Marker['kind'], incarnation: string, owner: number): Marker {
  return {
    kind,
    incarnation,
    owner,
    begin: null,
    count: null,
    sealed: false,
    faultedFrom: null,
    error: null,
    checkpoint: null,
    position: null,
  }
}

function takeoverMarker(incarnation: string): Marker {
  return plainMarker('takeover', incarnation, -1)
}

function nameOf(target: TopicPartition): string {
  return `${target.topic}/${target.partition}`
}
