/**
 * Makes a stage the one writer of its partitions (PROTOCOL.md §4). It opens a writer under the name
 * that its predecessor used, and writes a takeover marker to each partition. From then on the log refuses the
 * predecessor there, and a reader that reads past the marker has read all of the predecessor's records.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Marker } from '@sluice/contracts/records'
import type { Ends } from '@sluice/flow/ends'
import type { Entry } from './deaths/entry.ts'
import type {
  AppendResult,
  FencedWriter,
  MessageLog,
  NewRecord,
  NewRecords,
  TopicPartition,
} from '@sluice/message-log/port'
import type { RecordIo } from '@sluice/topics/record-io'
import { markerKey, nameOf, type StageName } from '@sluice/topics/topics'

export interface TakeOverOptions {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly stage: StageName
  readonly sync: string
  readonly incarnation: string
  readonly partition: number
  /** The first one is the topic of the stage. Its marker says what the entry counts. */
  readonly targets: readonly TopicPartition[]
  readonly entry?: Entry | undefined
  readonly signal: AbortSignal
  /**
   * If given, only `abort` interrupts the writing of a marker, since an interrupted write would end the
   * writer. An owner that `signal` stops between two markers takes its death back. Default: `signal`.
   */
  readonly abort?: AbortSignal | undefined
}

type TakeBack = (writer: FencedWriter, options: { readonly signal: AbortSignal }) => Promise<void>

/** Ownership of some partitions, from takeover to release. */
export class Ownership implements AsyncDisposable {
  readonly incarnation: string
  readonly #writer: FencedWriter
  readonly #markers: ReadonlyMap<string, number>
  readonly #takeBack: TakeBack
  readonly #onAppend: (target: TopicPartition) => void

  constructor(
    writer: FencedWriter,
    incarnation: string,
    options: {
      readonly markers: ReadonlyMap<string, number>
      readonly takeBack?: TakeBack
      readonly onAppend?: (target: TopicPartition) => void
    },
  ) {
    this.#writer = writer
    this.incarnation = incarnation
    this.#markers = options.markers
    this.#takeBack = options.takeBack ?? (() => Promise.resolve())
    this.#onAppend = options.onAppend ?? (() => undefined)
  }

  /**
   * Returns the offset of this owner's takeover marker in the partition. Each record of the owner has it as
   * `owner`.
   */
  markerOffset(target: TopicPartition): number {
    const marker = this.#markers.get(nameOf(target))
    if (marker === undefined) throw new SluiceError('internal', `nobody took over ${nameOf(target)}`)
    return marker
  }

  async append(
    target: TopicPartition,
    records: NewRecords,
    options: { signal: AbortSignal },
  ): Promise<AppendResult> {
    const appended = await this.#writer.append(target, records, options)
    this.#onAppend(target)
    return appended
  }

  /**
   * Records that this owner leaves in good order and has not died, unless its records show it already. It
   * writes nothing afterwards, since readers would skip it. Rejects as the log does.
   */
  async leave(options: { signal: AbortSignal }): Promise<void> {
    await this.#takeBack(this.#writer, options)
  }

  /**
   * Returns the result of the work. If `drain` interrupts the work, the owner leaves, since it has not died
   * of it.
   */
  async leavingAtEnd<Result>(work: Promise<Result>, { drain, abort }: Ends): Promise<Result> {
    try {
      return await work
    } catch (error) {
      if (drain.aborted && !abort.aborted) await this.leave({ signal: abort })
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}

/**
 * Takes over the targets. Rejects with `fenced` if another process takes over meanwhile, and with the errors
 * of the log.
 */
export async function takeOver(options: TakeOverOptions): Promise<Ownership> {
  const { log, io, prefix, stage, sync, incarnation, partition, targets, signal } = options
  const abort = options.abort ?? signal
  const id = `${prefix}.${stage}.${sync}.${incarnation}.${partition}`
  const writer = await log.openWriter(id, { signal })
  const key = markerKey('takeover', `${stage}/${sync}/${partition}`)
  const marked = (fields: Partial<Marker>): NewRecord => ({
    key,
    value: io.encode('Marker', { ...plainMarker('takeover', incarnation, -1), ...fields }),
  })
  const { entry } = options
  const [output] = targets
  const takeBack: TakeBack = async (owner, appending) => {
    const deaths = entry?.leaves() ?? null
    if (entry === undefined || output === undefined || deaths === null) return
    // The process does not remember this marker as its own, so that deaths before it still count when it
    // returns.
    await owner.append(output, [marked({ deaths, position: entry.position })], appending)
  }
  let hasMarked = false
  const markers = new Map<string, number>()
  const mark = async (target: TopicPartition): Promise<void> => {
    const isCounted = entry !== undefined && target === output
    const fields = isCounted ? { deaths: entry.deaths, position: entry.position } : {}
    const { baseOffset } = await writer.append(target, [marked(fields)], { signal: abort })
    markers.set(nameOf(target), baseOffset)
    if (isCounted) entry.took(target, baseOffset)
  }
  try {
    signal.throwIfAborted()
    hasMarked = true
    // The writer keeps the order of the markers, and none succeeds after one that failed.
    const marks = targets.map(mark)
    await Promise.all(marks).finally(() => Promise.allSettled(marks))
    signal.throwIfAborted()
    // The renderer works in order, so any record shows progress. Delivery says itself when it has come
    // further.
    const onAppend = (target: TopicPartition): void => {
      if (stage === 'requests' && output !== undefined && nameOf(target) === nameOf(output))
        entry?.cameFurther()
    }
    return new Ownership(writer, incarnation, { markers, takeBack, onAppend })
  } catch (error) {
    if (hasMarked && signal.aborted && !abort.aborted)
      await takeBack(writer, { signal: abort }).catch(() => undefined)
    await writer[Symbol.asyncDispose]()
    throw error
  }
}

/** Returns a marker with its kind and owner only; the caller adds the fields of its kind. */
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
    deaths: null,
  }
}
