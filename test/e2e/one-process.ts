/**
 * The three services in one process on one log, as in `sluice run`. The API is a set of rows, and the model a
 * CSV file. A test can replace parts and act between them, which is not possible with a process of its own.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runChangeDetector, type DetectorDeps } from '@sluice/change-detector/change-detector'
import type { Command, RunEvent } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import type { DeliveredState } from '@sluice/delivered-state/port'
import { runDelivery } from '@sluice/delivery/delivery'
import { DeliveryMemory } from '@sluice/delivery/delivery-memory'
import { resolveTarget } from '@sluice/delivery/destination/target'
import { lateAfterTakeover, type LateSends } from '@sluice/delivery/run/maybe-sent'
import { UnrecordedRequests } from '@sluice/delivery/send/unrecorded-requests'
import { Throttles } from '@sluice/delivery/send/throttles'
import { isEnded } from '@sluice/domain/run-status'
import { ulid } from '@sluice/domain/ulid'
import { Notifier } from '@sluice/flow/notifier'
import { createLocalLocks } from '@sluice/partition/adapters/local'
import type { MessageLog } from '@sluice/message-log/port'
import type { HttpSender, OutgoingRequest } from '@sluice/http-sender/port'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import { RendererMemory } from '@sluice/renderer/renderer-memory'
import { runRenderer } from '@sluice/renderer/renderer'
import { createLogger } from '@sluice/runtime/logger'
import { openSource } from '@sluice/sources/adapters/open-source'
import { plainExtracts } from '@sluice/sources/test/plain-extracts'
import { NO_STAGE_METRICS } from '@sluice/partition/stage-metrics'
import { at, homePartition, sharedTopics, textKey } from '@sluice/topics/topics'
import { sampleDefinition, SYNC, type DefinitionFields } from '@sluice/testkit/sample-records'
import { openTestLog, type TestLog, type TestLogAdapters } from '@sluice/testkit/test-log'

const { signal } = new AbortController()
const SQL = "select id from read_csv('rows.csv', header = true, columns = { id: 'INTEGER' })"
const TRIGGERS = {
  added: { method: 'PUT', path: '/rows/{{ id }}' },
  removed: { method: 'DELETE', path: '/rows/{{ id }}' },
}

/** Ids that sort in the order in which they were made. */
const newRunId = (): string => ulid(Date.now(), randomBytes(10))

/** An API that has rows by id, and answers when `gate` lets it. */
class RowApi {
  readonly ids = new Set<number>()
  /** The id of each row that was sent, in order. */
  readonly sent: number[] = []
  readonly #changes = new Notifier()
  /** Each request waits for it. */
  gate: Promise<unknown> = Promise.resolve()
  /** Its answer. Whatever the answer is, the row counts as sent, and the API applies it. */
  statusOf: (request: OutgoingRequest) => number = () => 200
  /** Method and path of each request, in order. */
  readonly requests: string[] = []

  readonly sender: HttpSender = {
    send: async request => {
      await this.gate
      this.requests.push(`${request.method} ${new URL(request.url).pathname}`)
      for (const id of idsIn(request)) {
        this.sent.push(id)
        if (request.method === 'DELETE') this.ids.delete(id)
        else this.ids.add(id)
      }
      this.#changes.notify()
      const status = this.statusOf(request)
      return { kind: 'answered', status, headers: {}, body: '', startedAt: Date.now(), durationMs: 1 }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** A batch is a JSON array of ids; one row a request has its id at the end of the path. */
function idsIn({ url, body }: OutgoingRequest): readonly number[] {
  if (body === null) return [Number(url.split('/').at(-1))]
  const ids: readonly number[] = JSON.parse(new TextDecoder('utf-8', { ignoreBOM: true }).decode(body))
  return ids
}

/** One life of the services. */
export interface Services {
  /** Resolves with the first failure of a service that a takeover does not mend. */
  readonly failed: Promise<unknown>
  drain(): Promise<void>
  kill(): Promise<void>
}

export interface WorldParts {
  /** The model's query; default: the ids of `rows.csv`. */
  readonly sql?: string
  /** Takes the place of the API that holds rows by id. */
  readonly sender?: HttpSender
  readonly adapters?: TestLogAdapters | undefined
  /** The folder of its files; default: the system's temporary folder. */
  readonly under?: string | undefined
}

export class OneProcess implements AsyncDisposable {
  /** The definition to which the next run is pinned. */
  definition: Definition
  readonly log: TestLog
  /** Requests of a process that has ended may be late by this much. */
  lateSends: LateSends = lateAfterTakeover(() => 0)
  readonly #sender: HttpSender
  readonly api = new RowApi()
  readonly #lives: Services[] = []

  private constructor(log: TestLog, definition: Definition, sender: HttpSender | undefined) {
    this.log = log
    this.definition = definition
    this.#sender = sender ?? this.api.sender
  }

  /** A log without topics of the sync, as before its first run, and a model without rows. */
  static async open(sync: DefinitionFields['sync'] = {}, parts: WorldParts = {}): Promise<OneProcess> {
    const log = await openTestLog({ partitions: 0, adapters: parts.adapters, under: parts.under })
    for (const folder of ['tmp', 'state']) await mkdir(join(log.folder, folder))
    const { sql = SQL } = parts
    // Rows come and go here, down to none, and nobody approves.
    const own = { partitions: 2, triggers: TRIGGERS, removalGuard: false as const, ...sync }
    const fields = { path: log.folder, sql, sync: own }
    const made = new OneProcess(log, sampleDefinition(fields), parts.sender)
    await made.setRows([])
    return made
  }

  async setRows(ids: readonly number[]): Promise<void> {
    await writeFile(join(this.log.folder, 'rows.csv'), ['id', ...ids, ''].join('\n'))
  }

  readonly openState: DetectorDeps['openState'] = of =>
    openDeliveredState({ ...of, file: join(this.log.folder, 'state', `${of.sync}.duckdb`) })

  /**
   * Starts the services on their log, or on one that watches it. The test may replace some parts of the
   * detector.
   */
  start(parts: Partial<DetectorDeps> = {}, watched: MessageLog = this.log.log): Services {
    const { log: world } = this
    const drain = new AbortController()
    const kill = new AbortController()
    const ends = { drain: drain.signal, abort: kill.signal }
    const { io, prefix, runs, definitions, folder } = world
    const logger = createLogger({ name: 'test', level: 'silent' })
    const locks = createLocalLocks()
    const shared = {
      log: watched,
      io,
      prefix,
      runs,
      definitions,
      logger,
      locks,
      stageMetrics: NO_STAGE_METRICS,
    }
    const detector = runChangeDetector(
      {
        ...shared,
        dataDir: folder,
        newRunId,
        now: Date.now,
        isOneProcess: true,
        resolveDefinition: () => Promise.resolve(this.definition),
        openSource: async ({ source }) =>
          source.type === 'duckdb' ? plainExtracts(source.path) : openSource(source, { secretFor: () => '' }),
        openState: this.openState,
        ...parts,
      },
      ends,
    )
    const sending = {
      sender: this.#sender,
      leases: createLeaseQueue(createLocalRateLimit(), bottleneckAdmission),
      throttles: new Throttles(),
      unrecorded: new UnrecordedRequests(),
      memory: new DeliveryMemory(128_000_000),
      onError: () => undefined,
      lateSends: this.lateSends,
      resolveTarget: () => Promise.resolve(resolveTarget(this.definition, () => '')),
    }
    const rendering = { ...shared, room: new RendererMemory(128_000_000) }
    const all = [detector, runRenderer(rendering, ends), runDelivery({ ...shared, ...sending }, ends)]
    const end = async (how: AbortController): Promise<void> => {
      how.abort(new Error('the test ends it'))
      await Promise.allSettled(all)
    }
    const life = { failed: firstFailure(all), drain: () => end(drain), kill: () => end(kill) }
    this.#lives.push(life)
    return life
  }

  /**
   * Starts the services, writes a command, and kills them while its run publishes. Resolves once they are
   * gone.
   */
  async killWhilePublishing(of: Partial<Command> = {}): Promise<void> {
    const reached = Promise.withResolvers<void>()
    const killed = Promise.withResolvers<void>()
    const openState = pausingStates(this.openState, () => {
      reached.resolve()
      return killed.promise
    })
    const services = this.start({ openState })
    await this.command(of)
    await reached.promise
    const killing = services.kill()
    killed.resolve()
    await killing
  }

  /** Writes a command and returns its id, which is also the id of the run. */
  async command(of: Partial<Command> = {}): Promise<string> {
    const id = newRunId()
    const { log } = this
    const command: Command = {
      id,
      kind: 'run',
      sync: SYNC,
      cause: 'manual',
      run: null,
      at: 1,
      scope: null,
      ...of,
    }
    const target = at(sharedTopics(log.prefix).commands, homePartition(command.sync))
    await log.append(target, [{ key: textKey(command.sync), value: log.io.encode('Command', command) }])
    return id
  }

  /** The known runs of the sync, the oldest first. */
  events(sync = SYNC): readonly RunEvent[] {
    return [...(this.log.runs.of(sync)?.events.values() ?? [])]
  }

  /** The first event of a run that meets the condition. */
  async until(runId: string, condition: (event: RunEvent) => boolean, sync = SYNC): Promise<RunEvent> {
    const find = (): RunEvent | undefined =>
      this.events(sync).find(event => event.runId === runId && condition(event))
    await this.log.runs.until(() => find() !== undefined, { signal })
    const found = find()
    if (found === undefined) throw new Error(`run ${runId} has gone`)
    return found
  }

  /** The event of a run that has ended. */
  ended(runId: string, sync = SYNC): Promise<RunEvent> {
    return this.until(runId, ({ status }) => isEnded(status), sync)
  }

  /** Asks for a run and waits for its end. */
  async run(): Promise<RunEvent> {
    return this.ended(await this.command())
  }

  /** Waits until every run has ended. */
  async allEnded(): Promise<readonly RunEvent[]> {
    await this.log.runs.until(() => this.events().every(({ status }) => isEnded(status)), { signal })
    return this.events()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#lives.map(life => life.kill()))
    await this.log[Symbol.asyncDispose]()
  }
}

function firstFailure(services: readonly Promise<void>[]): Promise<unknown> {
  return new Promise(resolve => {
    for (const service of services) service.catch(resolve)
  })
}

/** A state in which the given parts replace its own methods. */
export function stateWith(state: DeliveredState, parts: Partial<DeliveredState>): DeliveredState {
  return {
    positions: () => state.positions(),
    reset: () => state.reset(),
    feed: stretch => state.feed(stretch),
    commit: options => state.commit(options),
    keep: published => state.keep(published),
    feedKept: lastChange => state.feedKept(lastChange),
    endGone: (before, end, options) => state.endGone(before, end, options),
    believed: keys => state.believed(keys),
    lastUncertain: () => state.lastUncertain(),
    takeReplayed: rows => state.takeReplayed(rows),
    diff: request => state.diff(request),
    [Symbol.asyncDispose]: () => state[Symbol.asyncDispose](),
    ...parts,
  }
}

/** States whose diffs, after their first batch of changes, wait for `then`. */
export function pausingStates(
  open: DetectorDeps['openState'],
  then: () => Promise<void>,
): DetectorDeps['openState'] {
  return async of => {
    const state = await open(of)
    return stateWith(state, {
      diff: async request => {
        const diff = await state.diff(request)
        return {
          ...diff,
          changes: () => pausing(diff.changes(), then),
          changesByColumn: () => pausing(diff.changesByColumn(), then),
        }
      },
    })
  }
}

async function* pausing<T>(batches: AsyncIterable<T>, then: () => Promise<void>): AsyncGenerator<T> {
  let isFirst = true
  for await (const batch of batches) {
    yield batch
    if (isFirst) await then()
    isFirst = false
  }
}
