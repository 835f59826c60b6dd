/**
 * The embedded profile: all services in this process, on files in the project's `.sluice` folder. The one
 * place of the command that names adapters.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Definition } from '@sluice/contracts/resources'
import type { DeliveredState } from '@sluice/delivered-state/port'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import { ulid } from '@sluice/domain/ulid'
import { createLocalHolds } from '@sluice/holds/adapters/local'
import { createUndiciSender } from '@sluice/http-sender/adapters/undici'
import type { Holds } from '@sluice/holds/port'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import type { MessageLog } from '@sluice/message-log/port'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import { distributedSettings, isDistributed } from '@sluice/runtime/distributed-settings'
import type { Logger } from '@sluice/runtime/logger'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { environmentSecrets } from '@sluice/secrets/environment'
import { createDuckdbSource } from '@sluice/sources/adapters/duckdb'
import { openStage } from '@sluice/stage/open-stage'
import { RecordIo } from '@sluice/stage/record-io'
import { RunsView } from '@sluice/stage/runs-view'
import { currentDefinition, Definitions } from '@sluice/stage/stored-documents'
import { sharedTopicSpecs } from '@sluice/stage/topics'
import { runChangeDetector } from '@sluice/change-detector/change-detector'
import { runDelivery } from '@sluice/delivery/delivery'
import { resolveTarget, type Target } from '@sluice/delivery/target'
import { runRenderer } from '@sluice/renderer/renderer'
import type { Pipeline } from './pipeline.ts'

const STATE_FOLDER = '.sluice'
const PREFIX = 'sluice'
/** People wait for a command, so it gives up sooner than a service. */
const STARTUP_TIMEOUT = '10s'
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
  for (const folder of ['tmp', 'state']) mkdirSync(join(dataDir, folder), { recursive: true })
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
  await using running = new AsyncDisposableStack()
  const rateLimit = running.use(createLocalRateLimit({ file: join(dataDir, 'limits.db') }))
  const leases = running.use(createLeaseQueue(rateLimit, bottleneckAdmission))
  const sender = running.use(createUndiciSender({ connections: CONNECTIONS }))
  const onError = (err: unknown): void => logger.error({ err }, 'the limits could not be kept')
  const stopping = new AbortController()
  const both = { drain: AbortSignal.any([ends.drain, stopping.signal]), signal: ends.signal }
  const detecting = {
    newRunId: newUlid,
    now: Date.now,
    adoptedAreInterrupted: true,
    resolveDefinition: (sync: string) => currentDefinition(deps, sync, { signal: ends.signal }),
    openSource: ({ source }: Definition) => Promise.resolve(createDuckdbSource({ spec: source })),
    openState: (of: StateOf) => openState(dataDir, of, logger),
  }
  const resolve = targets(definitions, env)
  const sending = { sender, leases, onError, resolveTarget: resolve, lateSendsMs: () => 0 }
  const services = [
    runChangeDetector({ ...deps, ...detecting }, both),
    runRenderer(deps, both),
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

interface StateOf {
  readonly sync: string
  readonly incarnation: string
  readonly partitions: number
}

function openState(dataDir: string, of: StateOf, logger: Logger): Promise<DeliveredState> {
  const file = join(dataDir, 'state', `${of.sync}.${of.incarnation}.duckdb`)
  const onDiscard = (why: string): void =>
    logger.warn({ sync: of.sync, why }, 'the cache of the delivered state is not used')
  return openDeliveredState({ ...of, file, onDiscard })
}

/** Destinations with their secrets, kept by definition. */
function targets(
  definitions: Definitions,
  env: { readonly [name: string]: string | undefined },
): (hash: string, signal: AbortSignal) => Promise<Target> {
  const known = new Map<string, Target>()
  return async (hash, signal) => {
    const kept = known.get(hash)
    if (kept !== undefined) return kept
    const target = resolveTarget(await definitions.get(hash, { signal }), environmentSecrets(env))
    known.set(hash, target)
    return target
  }
}
