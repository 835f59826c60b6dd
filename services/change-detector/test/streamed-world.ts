/**
 * A sync over a stream with its detector, on a real log: the source is in memory, and a scripted delivery
 * takes each change to an API, writes what became of it, and passes the ends of slices on.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { isSluiceError } from '@sluice/contracts/errors'
import type { Command, PartitionReport } from '@sluice/contracts/records'
import type { Definition, SyncSpec } from '@sluice/contracts/resources'
import type { Op, Outcome } from '@sluice/contracts/state'
import type { Column, Row } from '@sluice/contracts/values'
import { openExtractRows } from '@sluice/delivered-state/adapters/extract-rows'
import type { StreamState } from '@sluice/delivered-state/stream-port'
import { MemoryStreamState } from '@sluice/delivered-state/test/stream-memory'
import { addCounts } from '@sluice/domain/counts'
import { isEnded } from '@sluice/domain/run-status'
import { ulid } from '@sluice/domain/ulid'
import { incarnationOf } from '@sluice/resources/incarnations'
import type { NewRecord } from '@sluice/message-log/port'
import { createLogger } from '@sluice/runtime/logger'
import { MemoryStream } from '@sluice/sources/test/memory-stream'
import {
  sampleCounts,
  sampleDefinition,
  sampleEntry,
  sampleReport,
  SYNC,
} from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { readOwned } from '@sluice/topics/owned-reader'
import {
  at,
  homePartition,
  reportKey,
  sharedTopics,
  sliceKey,
  syncTopics,
  textKey,
} from '@sluice/topics/topics'
import { SyncRunner } from '../src/sync/sync-runner.ts'
import type { RunnerDeps } from '../src/sync/runner-deps.ts'

const never = new AbortController().signal
const TOPICS = syncTopics(PREFIX, SYNC)
const COLUMNS: readonly Column[] = [
  { name: 'id', type: { kind: 'text' } },
  { name: 'v', type: { kind: 'integer' } },
]

export interface Sent {
  readonly op: Op
  readonly key: string
  readonly row: Row | null
  readonly run: number
  readonly slice: number
}

interface WorldOptions {
  readonly partitions?: number
  readonly sync?: Partial<{ [field in keyof SyncSpec]: unknown }>
  readonly sourcePartitions?: number
  readonly mayLack?: readonly string[]
  /** Columns of texts besides `id` and `v`. */
  readonly texts?: readonly string[]
}

export class StreamedWorld implements AsyncDisposable {
  readonly world: TestLog
  readonly stream: MemoryStream
  readonly sent: Sent[] = []
  /** The rows that the API has. */
  readonly api = new Map<string, Row>()
  /** What becomes of the next changes. */
  fate: (sent: Sent) => Outcome = () => 'delivered'
  /**
   * While it is set, delivery loses track of what it reads, and says so at once, and at the end of the run.
   */
  isLosing = false
  /** While it is set, no end of a slice is passed on. */
  holdsMarkers = false
  readonly #held: { readonly partition: number; readonly marker: NewRecord }[] = []
  readonly #incarnation: string
  readonly #partitions: number
  readonly #sync: WorldOptions['sync']
  readonly #over = new AbortController()
  readonly #delivering: Promise<unknown>
  #state: StreamState & { [Symbol.asyncDispose](): Promise<void> }
  #commands = 0
  failure: unknown = null
  /** The number of ends of slices that were passed on. */
  passed = 0
  /** Milliseconds that are added to the clocks. */
  later = 0

  private constructor(world: TestLog, incarnation: string, options: WorldOptions) {
    const { partitions = 2, sync, sourcePartitions = 2, mayLack = [], texts = [] } = options
    this.world = world
    this.#incarnation = incarnation
    this.#partitions = partitions
    this.#sync = sync
    this.stream = new MemoryStream({
      columns: [...COLUMNS, ...texts.map((name): Column => ({ name, type: { kind: 'text' } }))],
      primaryKey: ['id'],
      partitions: sourcePartitions,
      mayLack,
    })
    this.#state = new MemoryStreamState({ partitions, incarnation })
    const delivering = Array.from({ length: partitions }, (_, partition) => this.#deliver(partition))
    this.#delivering = Promise.allSettled(delivering)
    for (const each of delivering)
      each.catch((error: unknown) => {
        // A reset deletes the topics.
        if (!this.#over.signal.aborted && !isSluiceError(error, 'not-found')) this.failure = error
      })
  }

  static async open(options: WorldOptions = {}): Promise<StreamedWorld> {
    const world = await openTestLog({ partitions: options.partitions ?? 2 })
    const incarnation = await incarnationOf(world, SYNC, { signal: never })
    return new StreamedWorld(world, incarnation, options)
  }

  put(id: string, v: number): void {
    this.stream.put({ id, v })
  }

  /** Forgets the cache of the state. */
  forgetState(): void {
    this.#state = new MemoryStreamState({ partitions: this.#partitions, incarnation: this.#incarnation })
  }

  /** A detector. Its disposal is its death: what is under way ends at once. */
  detector(parts: Partial<RunnerDeps> | ((definition: Definition) => Partial<RunnerDeps>) = {}) {
    const definition = sampleDefinition({
      sync: {
        ...{ schedule: 'continuous', partitions: this.#partitions },
        triggers: {
          added: { method: 'POST', path: '/rows/{{ id }}/{{ v }}' },
          changed: { method: 'PUT', path: '/rows/{{ id }}/{{ v }}' },
          removed: { method: 'DELETE', path: '/rows/{{ id }}' },
        },
        ...this.#sync,
      },
    })
    const deps = {
      ...this.world,
      logger: createLogger({ name: 'test', level: 'silent' }),
      dataDir: this.world.folder,
      now: () => Date.now() + this.later,
      steadyNow: () => performance.now() + this.later,
      newRunId: () => ulid(Date.now(), crypto.getRandomValues(new Uint8Array(10))),
      isOneProcess: false,
      resolveDefinition: () => Promise.resolve(definition),
      streams: {
        openSource: () => Promise.resolve(this.stream.source()),
        openState: () => Promise.resolve(this.#state),
        openRows: (rows: Parameters<typeof openExtractRows>[0]) =>
          openExtractRows({ ...rows, memoryLimit: '1GB' }),
      },
      ...(typeof parts === 'function' ? parts(definition) : parts),
    }
    const drain = new AbortController()
    const abort = new AbortController()
    const runner = new SyncRunner(SYNC, deps as unknown as RunnerDeps, {
      ends: { drain: drain.signal, abort: abort.signal },
      isMember: () => Promise.resolve(true),
      onFailure: error => (this.failure ??= error),
      onUnknown: () => undefined,
    })
    const ask = async (command: Partial<Command> = {}): Promise<void> => {
      const id = ulid(Date.now(), crypto.getRandomValues(new Uint8Array(10)))
      const full = {
        ...{ id, kind: 'run', sync: SYNC, cause: 'manual', run: null, at: 1, scope: null },
        ...command,
      }
      await runner.submit(full as Command, this.#commands++)
    }
    return {
      ask,
      wake: () => runner.wake(),
      drain: async (): Promise<void> => {
        drain.abort(new Error('it drains'))
        await runner.stopped()
      },
      [Symbol.asyncDispose]: async (): Promise<void> => {
        drain.abort(new Error('it is killed'))
        abort.abort(new Error('it is killed'))
        await runner.stopped()
      },
    }
  }

  get isEqual(): boolean {
    const { table } = this.stream
    const isSame = ([key, row]: readonly [string, Row]) =>
      JSON.stringify(this.api.get(key)) === JSON.stringify(row)
    return this.api.size === table.size && [...table].every(isSame)
  }

  async pause(ms: number): Promise<void> {
    await pause(ms)
  }

  /** Waits until the API has what the table has, however many runs that takes. */
  async settled(detector: { readonly ask: () => Promise<void> }): Promise<void> {
    await this.comesTo(() => this.isEqual, detector)
  }

  /** Waits until it holds, however many runs that takes. */
  async comesTo(holds: () => boolean, detector: { readonly ask: () => Promise<void> }): Promise<void> {
    let asked = performance.now()
    const isOver = (): boolean => {
      if (holds()) return true
      const isIdle = this.runs.every(({ status }) => isEnded(status))
      if (isIdle && performance.now() - asked > 500) {
        asked = performance.now()
        detector.ask().catch((error: unknown) => (this.failure ??= error))
      }
      return false
    }
    await this.until(
      isOver,
      () => `${JSON.stringify([...this.api])}, not ${JSON.stringify([...this.stream.table])}`,
    )
  }

  /** Waits until the API has what the table has. */
  async equal(): Promise<void> {
    const same = (): boolean => this.isEqual
    await this.until(
      same,
      () => `${JSON.stringify([...this.api])} instead of ${JSON.stringify([...this.stream.table])}`,
    )
  }

  async until(holds: () => boolean, what: () => string = () => 'what was waited for'): Promise<void> {
    const from = performance.now()
    while (!holds()) {
      if (this.failure !== null) throw this.failure
      if (performance.now() - from > 15_000)
        throw new Error(
          `it did not come to ${what()}: ${JSON.stringify(this.runs.map(({ run, status, cause, error, stream }) => [run, status, cause, error, stream?.read]))}`,
        )
      await pause(5)
    }
  }

  /** The events of all runs, by number. */
  get runs() {
    return [...(this.world.runs.of(SYNC)?.events.values() ?? [])].toSorted(
      (a, b) => (a.run ?? 0) - (b.run ?? 0),
    )
  }

  async #deliver(partition: number): Promise<void> {
    const { log, io } = this.world
    const { signal } = this.#over
    const changes = at(TOPICS.changes, partition)
    const retry = at(TOPICS.retry, partition)
    const owned = { incarnation: this.#incarnation, owner: 0 }
    let counts = {}
    let faultedFrom: number | null = null
    const target = {
      log,
      io,
      target: changes,
      incarnation: this.#incarnation,
      stage: 'changes',
      from: 0,
    } as const
    for await (const { records } of readOwned({ ...target, signal }))
      for (const { record } of records) {
        if (this.isLosing && record?.name === 'sluice.Change' && faultedFrom === null) {
          const { run, seq } = record.value
          faultedFrom = seq
          await this.#report({ run, partition, counts, faultedFrom, ended: false })
        }
        if (faultedFrom !== null && record?.name !== 'sluice.Marker') continue
        if (record?.name === 'sluice.Change' && record.value.op !== 'settled') {
          const { op, key, after, run, seq, streamed, retried } = record.value
          const sent = { op, key, row: after, run, slice: streamed?.slice ?? 0 }
          this.sent.push(sent)
          const outcome = this.fate(sent)
          if (outcome === 'delivered' || outcome === 'unknown') {
            if (op === 'removed') this.api.delete(key)
            else if (after !== null) this.api.set(key, after)
          }
          const count = { [op]: sampleCounts({ [outcome]: 1 }) }
          counts = addCounts(counts, count)
          const entry = sampleEntry({ ...owned, run, seq, op, outcome, runs: (retried?.runs ?? 0) + 1 })
          if (outcome !== 'delivered')
            await this.world.append(retry, [{ key: textKey(key), value: io.encode('RetryEntry', entry) }])
          else if (retried !== null) await this.world.append(retry, [{ key: textKey(key), value: null }])
        }
        if (record?.name === 'sluice.Slice') {
          const passed = { ...record.value, ...owned, begin: null, count: null, position: null }
          const marker = { key: sliceKey(partition), value: io.encode('Slice', passed) }
          if (this.holdsMarkers) this.#held.push({ partition, marker })
          else await this.#passOn(partition, marker)
        }
        if (record?.name === 'sluice.Marker' && record.value.kind === 'run-begin') counts = {}
        if (record?.name === 'sluice.Marker' && record.value.kind === 'run-end') {
          const run = record.value.begin?.run ?? 0
          await this.#report({ run, partition, counts, faultedFrom })
          faultedFrom = null
        }
      }
  }

  async #report(of: Partial<PartitionReport> & { readonly partition: number }): Promise<void> {
    const report = sampleReport({ incarnation: this.#incarnation, ...of })
    const runs = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
    const value = this.world.io.encode('PartitionReport', { ...report, requestsEnd: 0, attemptsEnd: 0 })
    await this.world.append(runs, [{ key: reportKey(SYNC, of.partition), value }])
  }

  async #passOn(partition: number, marker: NewRecord): Promise<void> {
    await this.world.append(at(TOPICS.retry, partition), [marker])
    this.passed += 1
  }

  /** The number of markers that are held. */
  get heldMarkers(): number {
    return this.#held.length
  }

  /** Passes on the markers that were held, or so many of them; then others go on being held. */
  async releaseMarkers(count?: number): Promise<void> {
    this.holdsMarkers = count !== undefined
    for (const { partition, marker } of this.#held.splice(0, count ?? this.#held.length))
      await this.#passOn(partition, marker)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new Error('the test is over'))
    await this.#delivering
    await this.world[Symbol.asyncDispose]()
  }
}
