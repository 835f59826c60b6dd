/**
 * The embedded profile: all services in this process, on files in the project's `.sluice` folder. The one
 * place of the command that names adapters.
 */
import { randomBytes } from 'node:crypto'
import { constants, existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import type { Definition } from '@sluice/contracts/resources'
import type { Op } from '@sluice/contracts/state'
import type { DeliveredState } from '@sluice/delivered-state/port'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import { saysDiskFailed } from '@sluice/domain/disk-failure'
import { duckdbSize, memoryBudget, queryBytes } from '@sluice/domain/memory-budget'
import { isHeld } from '@sluice/domain/removal-guard'
import { ulid } from '@sluice/domain/ulid'
import { createLocalHolds } from '@sluice/holds/adapters/local'
import { createRedisHolds } from '@sluice/holds/adapters/redis'
import { createUndiciSender } from '@sluice/http-sender/adapters/undici'
import type { Holds } from '@sluice/holds/port'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import type { MessageLog } from '@sluice/message-log/port'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { createRedisRateLimit } from '@sluice/rate-limit/adapters/redis'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import type { RateLimit } from '@sluice/rate-limit/port'
import { distributedSettings, isDistributed } from '@sluice/runtime/distributed-settings'
import { memoryOf } from '@sluice/runtime/environment'
import type { Logger } from '@sluice/runtime/logger'
import { makeFolder } from '@sluice/runtime/make-folder'
import { redisSettings } from '@sluice/runtime/service-config'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { environmentSecrets } from '@sluice/secrets/environment'
import { openSource } from '@sluice/sources/adapters/open-source'
import { forgottenLogger, logTrouble, openHolds } from '@sluice/stage/open-holds'
import { openBackbone, openStage } from '@sluice/stage/open-stage'
import { RecentMap } from '@sluice/stage/recent-map'
import { RecordIo } from '@sluice/stage/record-io'
import { RunsView } from '@sluice/stage/runs-view'
import { currentDefinition, Definitions } from '@sluice/stage/stored-documents'
import { sharedTopics, sharedTopicSpecs } from '@sluice/stage/topics'
import { runChangeDetector } from '@sluice/change-detector/change-detector'
import { assertKeyColumns } from '@sluice/change-detector/key-columns'
import { findNextChanges, type NextChanges } from '@sluice/change-detector/next-changes'
import { removeOldStates } from '@sluice/change-detector/old-states'
import { templateColumns } from '@sluice/change-detector/template-columns'
import { DeliveryMemory } from '@sluice/delivery/delivery-memory'
import { runDelivery } from '@sluice/delivery/delivery'
import { shownRequest } from '@sluice/delivery/shown-request'
import type { ResolveTarget } from '@sluice/delivery/open-run'
import { resolveTarget, type Target } from '@sluice/delivery/target'
import { Throttles } from '@sluice/delivery/throttles'
import { renderChanges } from '@sluice/renderer/render-changes'
import { RendererMemory } from '@sluice/renderer/renderer-memory'
import { runRenderer } from '@sluice/renderer/renderer'
import { assertSendable } from './project/assert-secrets.ts'
import type { Connections } from './check-connections.ts'
import type { NextRun, Previewed } from './next-run.ts'
import { knownSecrets } from './known-secrets.ts'
import type { Pipeline } from './pipeline.ts'

const STATE_FOLDER = '.sluice'
const PREFIX = 'sluice'
/** People wait for a command, so it gives up sooner than a service. */
const STARTUP_TIMEOUT = '10s'
/** Definitions change with each edit; those of the runs at work are few. */
const TARGETS_KEPT = 100
/** More than any concurrency that a limit allows: the limiter, not the pool, holds requests back. */
const CONNECTIONS = 10_000

export interface PipelineOptions {
  /** The project folder, absolute. */
  readonly dir: string
  readonly env: { readonly [name: string]: string | undefined }
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** False where nothing ever ran, so that there is nothing to look at. */
export function hasHistory({ dir, env }: Pick<PipelineOptions, 'dir' | 'env'>): boolean {
  return isDistributed(env) || existsSync(join(dir, STATE_FOLDER, 'log.db'))
}

/** Opens the pipeline that the environment asks for. */
export function openPipeline(options: PipelineOptions): Promise<Pipeline> {
  return isDistributed(options.env) ? openDistributed(options) : openEmbedded(options)
}

/** Opens the topics on Kafka; rejects with `unreachable` and the address of what does not answer. */
async function openDistributed({ env, logger, signal }: PipelineOptions): Promise<Pipeline> {
  const settings = distributedSettings({ SLUICE_STARTUP_TIMEOUT: STARTUP_TIMEOUT, ...env })
  const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
  const stage = await openStage(settings, adapters, {
    clientId: `${settings.prefix}-cli`,
    outlasts: false,
    logger,
    signal,
  })
  const start: Pipeline['start'] = (_only, { drain }) => aborted(drain)
  return { ...stage, logger, newRunId: newUlid, servicesElsewhere: true, start }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}

const newUlid = (): string => ulid(Date.now(), randomBytes(10))

/**
 * Opens the folder's log; rejects with `conflict` if another process has it open. Nothing runs until `start`.
 */
async function openEmbedded(options: PipelineOptions): Promise<Pipeline> {
  const { dir, env, logger, signal } = options
  const dataDir = join(dir, STATE_FOLDER)
  makeFolders(dataDir)
  await using opening = new AsyncDisposableStack()
  const onMaintenanceError = (err: unknown): void => logger.warn({ err }, 'the log could not be cleared up')
  const log = opening.use(createSqliteLog({ file: join(dataDir, 'log.db'), onMaintenanceError }))
  const codec = opening.use(createSqliteCodec({ file: join(dataDir, 'log.db') }))
  await log.ensureTopics(sharedTopicSpecs(PREFIX), { signal })
  const io = await RecordIo.open(codec, PREFIX, { signal })
  const shared = { log, io, prefix: PREFIX }
  const runs = opening.use(await RunsView.open(shared, { signal }))
  const definitions = new Definitions(shared)
  const deps = { ...shared, runs, definitions, holds: createLocalHolds(), logger }
  const opened = opening.move()
  return {
    ...deps,
    newRunId: newUlid,
    servicesElsewhere: false,
    start: (only, ends) => runServices({ ...deps, only, dataDir, env }, ends),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Throws `config` where the folder cannot be made, say because its disk may only be read. */
function makeFolders(dataDir: string): void {
  try {
    for (const folder of ['tmp', 'state']) makeFolder(join(dataDir, folder))
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    if (saysDiskFailed(said)) throw error
    throw new SluiceError(
      'config',
      `${dataDir} wants to be a folder that can be written: it is where runs keep their log and state. ${said}`,
      { cause: error },
    )
  }
}

interface EmbeddedDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly runs: RunsView
  readonly definitions: Definitions
  readonly holds: Holds
  readonly logger: Logger
  readonly only: ReadonlySet<string>
  readonly dataDir: string
  readonly env: PipelineOptions['env']
}

/** Runs all services until drained; one that fails takes the others down in good order. */
async function runServices(
  deps: EmbeddedDeps,
  ends: { readonly drain: AbortSignal; readonly signal: AbortSignal },
): Promise<void> {
  const { definitions, logger, dataDir, env } = deps
  const budget = memoryBudget(memoryOf(env))
  await using running = new AsyncDisposableStack()
  const rateLimit = running.use(await openLimits(deps, ends.drain))
  const leases = running.use(createLeaseQueue(rateLimit, bottleneckAdmission))
  // Renderer and delivery share what is there for both.
  const memory = new DeliveryMemory(budget.buffersBytes / 2)
  const renderer = new RendererMemory(budget.buffersBytes / 2)
  const sender = running.use(createUndiciSender({ connections: CONNECTIONS, answers: memory.answers }))
  const onError = (err: unknown): void => logger.error({ err }, 'the limits could not be kept')
  const stopping = new AbortController()
  const both = { drain: AbortSignal.any([ends.drain, stopping.signal]), signal: ends.signal }
  const detecting = {
    newRunId: newUlid,
    now: Date.now,
    adoptedAreInterrupted: true,
    resolveDefinition: (sync: string) => currentDefinition(deps, sync, { signal: ends.signal }),
    openSource: ({ source }: Definition) =>
      Promise.resolve(
        openSource(source, { secretOf: environmentSecrets(env), memoryBytes: queryBytes(budget) }),
      ),
    openState: (of: StateOf) =>
      openState(dataDir, { ...of, memoryLimit: duckdbSize(budget.duckdbBytes) }, logger),
  }
  const resolve = targets(definitions, env)
  const throttles = new Throttles()
  const sending = { sender, leases, throttles, memory, onError, resolveTarget: resolve, lateSendsMs: () => 0 }
  const services = [
    runChangeDetector({ ...deps, ...detecting }, both),
    runRenderer({ ...deps, memory: renderer }, both),
    runDelivery({ ...deps, ...sending }, both),
  ]
  await Promise.all(
    services.map(service =>
      service.catch((error: unknown) => {
        stopping.abort(error)
        throw error
      }),
    ),
  ).finally(() => Promise.allSettled(services))
}

/**
 * The limits of this folder, or, where the environment names a Redis, those that it shares with all others
 * who do. Rejects with `unreachable` and the address where that does not answer, and as `drain` aborts.
 */
async function openLimits({ dataDir, env, logger }: EmbeddedDeps, drain: AbortSignal): Promise<RateLimit> {
  const shared = redisSettings({ SLUICE_STARTUP_TIMEOUT: STARTUP_TIMEOUT, ...env })
  if (shared === null) return createLocalRateLimit({ file: join(dataDir, 'limits.db') })
  await using _answers = await openHolds(shared, createRedisHolds, { logger, signal: drain })
  const { redis, prefix } = shared
  const onForgotten = forgottenLogger(logger)
  return createRedisRateLimit({ ...redis, prefix, onTrouble: logTrouble(logger, 'requests'), onForgotten })
}

interface StateOf {
  readonly sync: string
  readonly incarnation: string
  readonly partitions: number
  readonly onDiscard?: (why: string) => void
}

function openState(
  dataDir: string,
  of: StateOf & { readonly memoryLimit?: string },
  logger: Logger,
): Promise<DeliveredState> {
  const onDiscard = (why: string): void => {
    logger.warn({ sync: of.sync, why }, 'the cache of the delivered state is not used')
    of.onDiscard?.(why)
  }
  removeOldStates(join(dataDir, 'state'), of)
  return openDeliveredState({ ...of, file: stateFile(dataDir, of), onDiscard })
}

function stateFile(dataDir: string, { sync, incarnation }: StateOf): string {
  return join(dataDir, 'state', `${sync}.${incarnation}.duckdb`)
}

/** Destinations with their secrets, kept by definition. */
function targets(
  definitions: Definitions,
  env: { readonly [name: string]: string | undefined },
): ResolveTarget {
  const known = new RecentMap<string, Target>({ limit: TARGETS_KEPT })
  return async (hash, { signal }) => {
    const kept = known.get(hash)
    if (kept !== undefined) return kept
    const target = resolveTarget(await definitions.get(hash, { signal }), environmentSecrets(env))
    known.set(hash, target)
    return target
  }
}

/**
 * Finds out what the next run of a sync would send. The topics are only read; everything else is made in a
 * temporary folder, which goes when the answer is disposed. Rejects as a run would fail.
 */
export async function openNextRun(
  options: PipelineOptions & { readonly definition: Definition },
): Promise<NextRun> {
  const { definition, env, logger, signal } = options
  await using opening = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-preview-'))
  opening.defer(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, 'state'))
  const past = opening.use(await openPast(options, join(folder, 'schemas.db')))
  const next = opening.use(
    await findNextChanges({
      ...past,
      definition,
      openSource: ({ source }) => Promise.resolve(openSource(source, { secretOf: environmentSecrets(env) })),
      openState: async of => {
        if (past.dataDir !== null) await copyState(past.dataDir, folder, of)
        return openState(folder, of, logger)
      },
      extractFile: join(folder, 'extract.duckdb'),
      signal,
    }),
  )
  const secrets = knownSecrets(env)
  const target = resolveTarget(definition, secrets.lookUp)
  const { counts, rowsRead, rowsInvalid, invalidSamples } = next.diff
  const detected = (op: Op): number => counts[op]?.detected ?? 0
  const opened = opening.move()
  return {
    counts: { added: detected('added'), changed: detected('changed'), removed: detected('removed') },
    rowsRead,
    rowsInvalid,
    invalidRows: [...invalidSamples],
    notices: [...noticesOf(next, definition), ...secrets.missing],
    requests: narrowing => previewed(next.changes(narrowing), definition, target),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

interface Past extends AsyncDisposable {
  readonly history: Pick<Pipeline, 'log' | 'io' | 'prefix' | 'runs'> | null
  /** For the changes of a run that nobody else gets to see. */
  readonly io: RecordIo
  /** Where the delivered state may be cached; null where other processes have it. */
  readonly dataDir: string | null
}

/** Opens what the topics hold so far, to be read only. `schemasFile` is where new schemas go. */
async function openPast(options: PipelineOptions, schemasFile: string): Promise<Past> {
  const { dir, env, logger, signal } = options
  const dataDir = join(dir, STATE_FOLDER)
  const logFile = join(dataDir, 'log.db')
  await using opening = new AsyncDisposableStack()
  const open = async (log: MessageLog, io: RecordIo, prefix: string): Promise<Past['history']> => {
    if ((await log.partitionsOf(sharedTopics(prefix).runs, { signal })) === null) return null
    const shared = { log, io, prefix }
    return { ...shared, runs: opening.use(await RunsView.open(shared, { signal })) }
  }
  let past: Omit<Past, keyof AsyncDisposable>
  if (isDistributed(env)) {
    const settings = distributedSettings({ SLUICE_STARTUP_TIMEOUT: STARTUP_TIMEOUT, ...env })
    const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
    const of = { clientId: `${settings.prefix}-cli`, logger, signal }
    const { log, codec, prefix } = opening.use(await openBackbone(settings, adapters, of))
    const own = opening.use(createSqliteCodec({ file: schemasFile }))
    const history = await open(log, RecordIo.reading(codec, prefix), prefix)
    past = { history, io: RecordIo.reading(own, prefix), dataDir: null }
  } else {
    const has = existsSync(logFile)
    // The lock comes first: nobody else writes to the folder from here on.
    const log = has ? opening.use(createSqliteLog({ file: logFile, readOnly: true })) : null
    const codec = opening.use(createSqliteCodec({ file: schemasFile, copyOf: logFile }))
    const io = RecordIo.reading(codec, PREFIX)
    past = { history: log === null ? null : await open(log, io, PREFIX), io, dataDir }
  }
  const opened = opening.move()
  return { ...past, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** Spares building the state anew; where there is no cache, or one that does not fit, it is built. */
async function copyState(dataDir: string, folder: string, of: StateOf): Promise<void> {
  for (const end of ['', '.wal']) {
    const from = `${stateFile(dataDir, of)}${end}`
    if (existsSync(from)) await copyFile(from, `${stateFile(folder, of)}${end}`, constants.COPYFILE_FICLONE)
  }
}

function noticesOf({ baseline, interrupted, diff }: NextChanges, { sync }: Definition): string[] {
  const notices: string[] = []
  const removed = diff.counts.removed?.detected ?? 0
  if (isHeld(sync, { removed, rows: diff.keysBefore, approved: null }))
    notices.push(
      `the removal guard would hold the run, which would remove ${removed} of ${diff.keysBefore} rows, until it is approved`,
    )
  if (baseline)
    notices.push(
      `firstRun is skip-existing: the first run takes the ${diff.settled} rows as there, and sends none`,
    )
  if (interrupted)
    notices.push(
      'an earlier run did not end: what is left of it is sent first, and this is what follows if all of that arrives',
    )
  return notices
}

async function* previewed(
  changes: Parameters<typeof renderChanges>[0],
  definition: Definition,
  target: Target,
): AsyncGenerator<Previewed> {
  const run = { id: newUlid(), startedAt: new Date().toISOString() }
  const context = { run, sync: { name: definition.sync.name } }
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  for await (const { op: trigger, rendered } of renderChanges(changes, definition, context)) {
    const keys = rendered.rows.map(row => row.key)
    if (rendered.kind === 'unrenderable') {
      yield { kind: 'rejected', trigger, keys, error: rendered.error }
      continue
    }
    const { url, headers } = shownRequest(rendered, target)
    const body = rendered.body === null ? null : decoder.decode(rendered.body)
    yield { kind: 'request', trigger, method: rendered.method, url, headers, body, keys }
  }
}

/** How long a destination may take to answer when it is only knocked at. */
const KNOCK_TIMEOUT_MS = 10_000

/** What `validate --connect` tries, with the secrets that the environment has. */
export function connectionsOf(env: PipelineOptions['env']): Connections {
  return {
    async describe(spec, model, signal) {
      await using source = openSource(spec, { secretOf: environmentSecrets(env) })
      return await source.describe(model, { signal })
    },
    assertKey: assertKeyColumns,
    assertTemplates: (definition, columns) => templateColumns(definition).assertKnown(columns),
    assertSendable: destination => assertSendable(destination, env),
    async reach({ baseUrl: url }, signal) {
      await using sender = createUndiciSender({ connections: 1 })
      const request = { method: 'HEAD', url, headers: {}, body: null, timeoutMs: KNOCK_TIMEOUT_MS, signal }
      const result = await sender.send(request)
      if (result.kind === 'answered') return
      const message = `${url} does not answer: ${result.error}`
      throw new SluiceError('unreachable', message, { details: [{ field: 'baseUrl', message }] })
    },
  }
}
