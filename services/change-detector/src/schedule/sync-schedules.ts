/**
 * The schedules of all syncs, as the topic `resources` has them now. Each process tails the topic once. It
 * gives no schedule before it has come to the topic's end, since a later record may have another one.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import type { ResourceRecord } from '@sluice/contracts/document-records'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import type { MessageLog } from '@sluice/message-log/port'
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import { parseResource } from '@sluice/resources/parse-documents'
import { recordsIn } from '@sluice/resources/stored-resources'
import { instantsOf, type Instants } from '@sluice/runs/schedule/instants'
import { decodeShared } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, keyText, sharedTopics } from '@sluice/topics/topics'

const PAUSE_AFTER_FAILURE_MS = 1_000
const KEY = 'sync/'

export interface SyncSchedule {
  /** Null for a stream: the next run begins when one ends. */
  readonly instants: Instants | null
  /** The schedule as JSON: another text is another schedule. */
  readonly by: string
  /** The time of the record, in ms since 1970. The schedule is due only at later instants. */
  readonly since: number
}

export interface InstantSchedule extends SyncSchedule {
  readonly instants: Instants
}

export interface SchedulesDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly stageMetrics?: StageMetrics | undefined
}

export class SyncSchedules {
  readonly #deps: SchedulesDeps
  readonly #onTransientFailure: (error: unknown) => void
  readonly #known = new Map<string, SyncSchedule>()
  #isComplete = false
  /** Notifies of each change. */
  readonly changes = new Notifier()

  constructor(deps: SchedulesDeps, onTransientFailure: (error: unknown) => void) {
    this.#deps = deps
    this.#onTransientFailure = onTransientFailure
  }

  /** The schedules by sync, without those of paused syncs. Empty until the topic is read completely. */
  get all(): ReadonlyMap<string, SyncSchedule> {
    return this.#isComplete ? this.#known : new Map()
  }

  /** Tails the topic until it is aborted. Rejects with a failure that does not pass. */
  async follow(signal: AbortSignal): Promise<void> {
    const { log, prefix } = this.#deps
    const target = at(sharedTopics(prefix).resources, 0)
    let from: number | null = null
    while (!signal.aborted) {
      try {
        const { low, end } = await log.offsets(target, { signal })
        if (end === low) this.#complete()
        for await (const { records, nextOffset } of log.read(target, { signal, from: from ?? low })) {
          await this.#take(records, signal)
          from = nextOffset
          if (nextOffset >= end) this.#complete()
          this.changes.notify()
        }
      } catch (error) {
        if (signal.aborted) return
        if (!isSluiceError(error) || !error.retryable) throw error
        this.#onTransientFailure(error)
        await sleep(PAUSE_AFTER_FAILURE_MS, { signal }).catch(() => undefined)
      }
    }
  }

  #complete(): void {
    this.#isComplete = true
    this.changes.notify()
  }

  async #take(records: Parameters<typeof decodeShared>[1]['records'], signal: AbortSignal): Promise<void> {
    const { io, prefix } = this.#deps
    const target = at(sharedTopics(prefix).resources, 0)
    const written = new Map(records.map(({ offset, timestamp }) => [offset, timestamp]))
    for (const { key, record, torn, offset } of await decodeShared(io, { target, records }, signal)) {
      // A record that a holder of the key has not signed changes nothing.
      if (torn !== undefined) continue
      const stored = record?.name === 'sluice.ResourceRecord' ? record.value : null
      for (const [name, resource] of recordsIn(keyText(key), stored))
        this.#put(name, resource, written.get(offset) ?? 0)
    }
  }

  #put(name: string, resource: ResourceRecord | null, since: number): void {
    if (!name.startsWith(KEY)) return
    const sync = name.slice(KEY.length)
    if (resource !== null) this.#deps.stageMetrics?.known(sync)
    const schedule = resource === null ? null : scheduleOf(resource, since)
    if (schedule === null) this.#known.delete(sync)
    else this.#known.set(sync, schedule)
  }
}

/**
 * Returns null also for a record that cannot be read. Runs that somebody asks for fail because of that
 * record.
 */
function scheduleOf({ spec }: ResourceRecord, since: number): SyncSchedule | null {
  try {
    const resource = parseResource(spec)
    if (resource.kind !== 'sync' || resource.paused === true) return null
    const instants = instantsOf(resource)
    return instants === null && resource.schedule !== 'continuous'
      ? null
      : { instants, by: JSON.stringify(resource.schedule), since }
  } catch (error) {
    if (isSluiceError(error, 'corrupt')) return null
    throw error
  }
}
