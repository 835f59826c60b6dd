/**
 * Runs all services in this process, on files in the project's `.sluice` folder, and previews a run. This is
 * the only file of the embedded profile that names adapters. It loads an adapter when a run needs it: loading
 * all of them takes longer than a run that finds nothing to do.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MailSender } from '@sluice/alerts/port'
import type { SendNoticeDeps } from '@sluice/alerts/send/send-notice'
import { SluiceError } from '@sluice/contracts/errors'
import type { Definition, SourceSpec } from '@sluice/contracts/resources'
import type { Wait } from '@sluice/contracts/records'
import { findNextChanges } from '@sluice/change-detector/detect/next-changes'
import { openExtractRows } from '@sluice/delivered-state/adapters/extract-rows'
import { copyState, openState, openStreamState } from '@sluice/delivered-state/adapters/state-cache'
import type { Connections } from '@sluice/control/check-connections'
import type { NextRun } from '@sluice/control/runs/next-run'
import type { Pipeline } from '@sluice/control/pipeline'
import { FreedMemory } from '@sluice/delivered-state/adapters/freed-memory'
import { DeliveryMemory } from '@sluice/delivery/delivery-memory'
import { DestinationTokens } from '@sluice/delivery/destination/destination-tokens'
import { memoryBudget } from '@sluice/domain/memory-budget'
import type { Ends } from '@sluice/flow/ends'
import { createLocalLocks } from '@sluice/partition/adapters/local'
import { loadWhenSending } from '@sluice/http-sender/load-when-sending'
import type { UndiciSenderOptions } from '@sluice/http-sender/adapters/undici'
import type { HttpSender } from '@sluice/http-sender/port'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import { createLocalTokenStore } from '@sluice/oauth/adapters/local'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { reportBreakers } from '@sluice/delivery/send/destination-gate'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import type { LimitUsage, RateLimit } from '@sluice/rate-limit/port'
import { UsageAtWork } from '@sluice/rate-limit/usage-at-work'
import { distributedSettings, isDistributed } from '@sluice/runtime/settings/distributed'
import { destinationPrivateNetworks } from '@sluice/runtime/settings/reach'
import { logSizeOf, memoryOf, secretOf, type Environment } from '@sluice/runtime/environment'
import type { Logger } from '@sluice/runtime/logger'
import { createStageMetrics, NO_STAGE_METRICS } from '@sluice/partition/stage-metrics'
import { growHeapByRoom } from '@sluice/runtime/machine/heap-growth'
import { openTraces } from '@sluice/runtime/traces/open-traces'
import { makeFilesPrivate } from '@sluice/runtime/private-files'
import { proxySettings } from '@sluice/runtime/settings/proxies'
import { parseRedisAddress } from '@sluice/redis/redis-address'
import { redisSettings } from '@sluice/runtime/service-config'
import { RendererMemory } from '@sluice/renderer/renderer-memory'
import { renderInThread, SlowRenders } from '@sluice/templates/adapters/thread'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { secretsOf, watchedSecrets, type KeptSecrets } from '@sluice/secrets/bound-secrets'
import { isInEnvironment } from '@sluice/secrets/environment'
import type { StreamPorts } from '@sluice/change-detector/sync/runner-deps'
import { openSource, openStreamSource } from '@sluice/sources/adapters/open-source'
import type { Source } from '@sluice/sources/port'
import { forgottenLogger, logTrouble, openLocks } from '@sluice/partition/process/open-locks'
import { openBackbone } from '@sluice/partition/process/open-stage'
import { ForeignRecords, reportForeign } from '@sluice/topics/foreign-records'
import { RecordIo } from '@sluice/topics/record-io'
import { Signatures } from '@sluice/topics/signatures'
import { RunsView } from '@sluice/runs/runs-view'
import { currentDefinition, Definitions } from '@sluice/resources/stored-documents'
import { sharedTopics, sharedTopicSpecs } from '@sluice/topics/topics'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import { Vault } from '@sluice/secrets/vault/vault'
import { connectionsWith, targets } from './connections.ts'
import manifest from '../package.json' with { type: 'json' }
import { keysOf, mayHaveVault, secretForOf, knownSecrets } from './folder-secrets.ts'
import { EarlySource } from './early-source.ts'
import {
  type EmbeddedOptions,
  NOTHING_KEPT,
  type SourceOptions,
  sourceOptionsOf,
  stateMemoryOf,
} from './source-options.ts'
import { previewedTarget, previewOf } from './preview-changes.ts'
import { runServices, type EmbeddedServices } from './run-services.ts'
import { openSentRequests } from './sent-requests.ts'
import { dataDirOf, logFile, makeFolders } from './state-folder.ts'
import { watchAlerts } from './watch-alerts.ts'

/** The prefix of the topics and subjects of a folder. */
export const PREFIX = 'sluice'
/** A person waits for a command, so it gives up sooner than a service. */
const STARTUP_TIMEOUT = '10s'
/**
 * The pool has more connections than any limit allows requests at once. So the limiter holds requests back,
 * and not the pool.
 */
const CONNECTIONS = 10_000

/**
 * Opens the folder's log. Rejects with `conflict` if another process has it open. The services run only after
 * `start`.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Pipeline & { readonly vault: Vault }> {
  const { env, logger, metrics, newRunId, signal, tell, mask } = options
  const dataDir = dataDirOf(options)
  makeFolders(dataDir, tell)
  await using opening = new AsyncDisposableStack()
  const openEarly = (spec: SourceSpec): Promise<Source> =>
    openSource(spec, sourceOptionsOf(options, NOTHING_KEPT))
  const early = opening.use(new EarlySource(options.expected ?? null, openEarly))
  const onMaintenanceError = (err: unknown): void => logger.warn({ err }, 'the log could not be cleared up')
  const isNew = !existsSync(logFile(dataDir))
  const writer = { writtenBy: manifest.version, onMaintenanceError }
  const log = opening.use(createSqliteLog({ file: logFile(dataDir), ...writer }))
  // The log is locked from here on, so no earlier process is at work any more.
  const lateSends = opening.use(openSentRequests({ file: join(dataDir, 'under-way'), isNew }))
  const codec = opening.use(createSqliteCodec({ file: logFile(dataDir) }))
  await log.ensureTopics(sharedTopicSpecs(PREFIX), { signal })
  const foreign = new ForeignRecords(reportForeign(logger, metrics))
  const signatures = Signatures.of(secretOf(env, 'SLUICE_SIGNING_KEY'))
  const io = await RecordIo.open(codec, PREFIX, { signatures, foreign, signal })
  const shared = { log, io, prefix: PREFIX }
  const runs = opening.use(await RunsView.open(shared, { signal }))
  const vault = opening.use(
    await Vault.open({ ...shared, keys: keysOf(dataDir, env), onOpened: mask }, { signal }),
  )
  const definitions = new Definitions(shared)
  const logRoom = { limitBytes: logSizeOf(env), log }
  const own = { newRunId, locks: createLocalLocks(), lateSends, dataDir, logger, early, logRoom }
  const stageMetrics = metrics === undefined ? NO_STAGE_METRICS : createStageMetrics(metrics)
  const deps = { ...shared, ...own, runs, definitions, vault, stageMetrics, usage: new UsageAtWork() }
  let startWait: Wait | null = null
  const start: Pipeline['start'] = async (only, ends) => {
    startWait = redisWait(env)
    await using services = await openServices(
      { ...deps, ...(only === null ? { runsSchedules: true } : { only }) },
      { ...options, ...ends },
    )
    const openNoticeSenders = () => noticeSenders(options, vault)
    const running = runServices(services, ends, to =>
      watchAlerts({ ...options, ...deps, only, openNoticeSenders }, to),
    )
    startWait = null
    await running
  }
  const opened = opening.move()
  return {
    ...{ ...deps, servicesElsewhere: false, start, startWaits: () => startWait },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Opens what sends the notices of alerts, with the secrets of the environment and of `kept`. */
export function noticeSenders(
  { env, mask }: Pick<EmbeddedOptions, 'env' | 'mask'>,
  kept: KeptSecrets,
): SendNoticeDeps & AsyncDisposable {
  const sender = senderOf({ connections: 1, ...networkOf(env) })
  // The client is loaded with the first mail, since most processes send none.
  const mailer: MailSender = {
    send: async (mail, options) =>
      await (await import('@sluice/alerts/adapters/nodemailer')).createMailSender().send(mail, options),
  }
  const network = { ...networkOf(env), ...profileOf(env), now: Date.now }
  const means = { sender, mailer, secretFor: watchedSecrets(secretForOf(env, kept), mask) }
  return { ...means, ...network, [Symbol.asyncDispose]: () => sender[Symbol.asyncDispose]() }
}

/**
 * Opens the folder's log to look at what happened. Any number of processes may do so at once. Rejects with
 * `conflict` if another process has the folder open to work in it. No service runs.
 */
export async function openToRead(options: EmbeddedOptions): Promise<Pipeline> {
  const { logger, newRunId } = options
  await using opening = new AsyncDisposableStack()
  makeFilesPrivate()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-reading-'))
  opening.defer(() => rm(folder, { recursive: true, force: true }))
  const { history, io } = opening.use(await openEmbeddedPast(options, join(folder, 'schemas.db')))
  if (history === null) {
    // A process that was killed while it made the folder has left no topics. The reader's lock would keep
    // out the writer that makes them.
    await opening.disposeAsync()
    return await openEmbedded(options)
  }
  const definitions = new Definitions({ ...history, io })
  const deps = { ...history, io, definitions, vault: null, logger, newRunId }
  const opened = opening.move()
  return {
    ...deps,
    servicesElsewhere: false,
    start: () => Promise.reject(new SluiceError('internal', 'the log is open for reading only')),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

type Opened = Omit<
  EmbeddedServices,
  'sender' | 'leases' | 'memory' | 'room' | 'resolveDefinition' | 'resolveTarget' | 'openSource' | 'openState'
> & { readonly vault: Vault; readonly early: EarlySource; readonly usage: UsageAtWork }

/** Opens the ports that the services need besides the log. */
async function openServices(
  deps: Opened,
  options: Ends & Pick<EmbeddedOptions, 'env' | 'mask' | 'simulation' | 'sourceRoots'>,
): Promise<EmbeddedServices & AsyncDisposable> {
  const { dataDir, logger, definitions, vault } = deps
  const { env, mask, simulation, drain, abort } = options
  const memoryBytes = memoryOf(env)
  const budget = memoryBudget(memoryBytes)
  await using opening = new AsyncDisposableStack()
  const freed = opening.use(new FreedMemory())
  opening.use(growHeapByRoom({ memoryBytes, giveBack: () => freed.giveBack() }))
  const traces = opening.use(await openTraces(env, { service: 'sluice', logger }))
  const rateLimit = opening.use(await openLimits({ dataDir, env, logger, signal: drain }))
  opening.use(deps.usage.use(rateLimit))
  const leases = opening.use(createLeaseQueue(rateLimit, bottleneckAdmission, reportBreakers(deps)))
  // Renderer and delivery share one budget.
  const memory = new DeliveryMemory(budget.buffersBytes / 2)
  const room = new RendererMemory(budget.buffersBytes / 2)
  const sender = opening.use(
    simulation?.openSender() ??
      senderOf({ connections: CONNECTIONS, answers: memory.answers, ...networkOf(env) }),
  )
  const sourceOptions = sourceOptionsOf(options, vault)
  const tokens = opening.use(
    new DestinationTokens({
      ...{ store: createLocalTokenStore(), keys: keysOf(dataDir, env), vault, sender },
      ...{ secretFor: sourceOptions.secretFor, profile: profileOf(env), waitsForPeople: false },
      ...(deps.stageMetrics === undefined ? {} : { stageMetrics: deps.stageMetrics }),
      onSecret: mask,
    }),
  )
  const memoryLimit = stateMemoryOf(env)
  const { render: renderElsewhere } = opening.use(new SlowRenders())
  const opened = opening.move()
  return {
    ...{ ...deps, sender, leases, memory, room, renderElsewhere, traces },
    resolveDefinition: sync => currentDefinition(deps, sync, { signal: abort }),
    resolveTarget: targets(definitions, sourceOptions.secretFor, { tokens, vault, profile: profileOf(env) }),
    openSource: definition =>
      simulation?.openSource(definition) ??
      deps.early.take(definition.source) ??
      openSource(definition.source, sourceOptions),
    openState: state => (simulation?.openState ?? openState)(dataDir, { ...state, memoryLimit }, logger),
    // A test of syncs has rows, and no log of changes.
    ...(simulation === undefined
      ? { streams: streamPorts({ dataDir, logger, memoryLimit, sourceOptions }) }
      : {}),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

function streamPorts(options: {
  readonly dataDir: string
  readonly logger: Logger
  readonly memoryLimit: string
  readonly sourceOptions: SourceOptions
}): StreamPorts {
  const { dataDir, logger, memoryLimit, sourceOptions } = options
  return {
    openSource: ({ source, sync: { name: sync } }) => openStreamSource(source, { ...sourceOptions, sync }),
    openState: state => openStreamState(dataDir, state, logger),
    openRows: rows => openExtractRows({ ...rows, memoryLimit }),
  }
}

/** The wait for Redis that people see while the services start; null without a Redis. Throws `config`. */
function redisWait(env: Environment): Wait | null {
  const settings = redisSettings(env)
  if (settings === null) return null
  const { shown } = parseRedisAddress(settings.redis.url)
  const detail = `Redis at ${shown} does not answer yet: start it, or correct SLUICE_REDIS_URL`
  return { kind: 'limits-store', since: Date.now(), until: null, detail }
}

interface LimitsOptions {
  readonly dataDir: string
  readonly env: Environment
  readonly logger: Logger
  readonly signal: AbortSignal
}

/**
 * The limits of this folder. If the environment names a Redis, the limits are those in Redis, shared with
 * every process that uses it. Rejects with `unreachable` and the address if Redis does not answer, and when
 * `signal` aborts.
 */
async function openLimits({ dataDir, env, logger, signal }: LimitsOptions): Promise<RateLimit & LimitUsage> {
  const shared = redisSettings({ SLUICE_STARTUP_TIMEOUT: STARTUP_TIMEOUT, ...env })
  if (shared === null) return createLocalRateLimit({ file: join(dataDir, 'limits.db') })
  const [{ createRedisLocks }, { createRedisRateLimit }] = await Promise.all([
    import('@sluice/partition/adapters/redis'),
    import('@sluice/rate-limit/adapters/redis'),
  ])
  await using _answers = await openLocks(shared, createRedisLocks, { logger, signal })
  const { redis, prefix } = shared
  const onForgotten = forgottenLogger(logger)
  return createRedisRateLimit({ ...redis, prefix, onTrouble: logTrouble(logger, 'requests'), onForgotten })
}

/** The default of `allowPrivateNetwork` for destinations and alerts. */
function profileOf(env: Environment): { readonly allowPrivateNetwork: boolean } {
  return { allowPrivateNetwork: destinationPrivateNetworks(env) === 'allowed' }
}

/** The operator's settings for connections to others. */
function networkOf(env: Environment): Pick<UndiciSenderOptions, 'neverPrivate' | 'proxy'> {
  return { proxy: proxySettings(env), neverPrivate: destinationPrivateNetworks(env) === 'never' }
}

/** Loads the HTTP client with the first request: a run that finds nothing to send starts without it. */
function senderOf(options: UndiciSenderOptions): HttpSender {
  return loadWhenSending(async () => {
    const { createUndiciSender } = await import('@sluice/http-sender/adapters/undici')
    return createUndiciSender(options)
  })
}

export interface NextRunOptions extends EmbeddedOptions {
  readonly definition: Definition
  /** True if services are at work in this process. They write to the caches of the state. */
  readonly isAtWork?: boolean
}

/**
 * Finds out what the next run of a sync would send. It only reads the topics. It makes everything else in a
 * temporary folder, which it removes when the caller disposes the answer. Rejects with the error with which
 * the run would fail.
 */
export async function openNextRun(options: NextRunOptions): Promise<NextRun> {
  const { definition, env, logger, newRunId, serves = false, signal } = options
  await using opening = new AsyncDisposableStack()
  makeFilesPrivate()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-preview-'))
  opening.defer(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, 'state'))
  const past = opening.use(await openPast(options, join(folder, 'schemas.db')))
  const kept = opening.use(await openKept(past, options))
  const next = opening.use(
    await findNextChanges({
      ...past,
      definition,
      openSource: ({ source }) => openSource(source, sourceOptionsOf(options, kept)),
      openState: async state => {
        if (past.dataDir !== null) await copyState(past.dataDir, folder, state)
        return openState(folder, { ...state, memoryLimit: stateMemoryOf(env) }, logger)
      },
      extractFile: join(folder, 'extract.duckdb'),
      signal,
    }),
  )
  const secrets = knownSecrets(env, kept)
  const target = previewedTarget(definition, secrets)
  const render = serves ? renderInThread(signal) : undefined
  const preview = previewOf({ next, definition, target, newRunId, render }, secrets.missing)
  const opened = opening.move()
  return { ...preview, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

interface Past extends AsyncDisposable {
  readonly history: Pick<Pipeline, 'log' | 'io' | 'prefix' | 'runs'> | null
  /** Encodes the changes of the previewed run, which no other process sees. */
  readonly io: RecordIo
  /** The folder that may have a cache of the delivered state. Null if the caches are in use. */
  readonly dataDir: string | null
}

/** Opens the topics so far, for reading only. New schemas go to `schemasFile`. */
export async function openPast(
  options: Pick<NextRunOptions, 'dir' | 'env' | 'logger' | 'signal' | 'isAtWork'>,
  schemasFile: string,
): Promise<Past> {
  const { env, logger, signal } = options
  if (!isDistributed(env)) return await openEmbeddedPast(options, schemasFile)
  await using opening = new AsyncDisposableStack()
  const settings = distributedSettings({ SLUICE_STARTUP_TIMEOUT: STARTUP_TIMEOUT, ...env })
  const [{ createKafkaLog }, { createRegistryCodec }] = await Promise.all([
    import('@sluice/message-log/adapters/kafka'),
    import('@sluice/schema-codec/adapters/registry'),
  ])
  const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
  const client = { clientId: `${settings.prefix}-cli`, logger, signal }
  const { log, codec, prefix } = opening.use(await openBackbone(settings, adapters, client))
  const own = opening.use(createSqliteCodec({ file: schemasFile }))
  const shared = { log, io: RecordIo.reading(codec, prefix, settings), prefix }
  const history = await openPastRuns(opening, { ...shared, signal })
  const opened = opening.move()
  const io = RecordIo.reading(own, prefix)
  return { history, io, dataDir: null, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

async function openEmbeddedPast(
  { dir, env, signal, isAtWork = false }: Pick<NextRunOptions, 'dir' | 'env' | 'signal' | 'isAtWork'>,
  schemasFile: string,
): Promise<Past> {
  const dataDir = dataDirOf({ dir, env })
  const file = logFile(dataDir)
  await using opening = new AsyncDisposableStack()
  // The lock comes first, so that no other process writes to the folder from here on.
  const log = existsSync(file) ? opening.use(createSqliteLog({ file, readOnly: true })) : null
  const codec = opening.use(createSqliteCodec({ file: schemasFile, copyOf: file }))
  const io = RecordIo.reading(codec, PREFIX)
  const history = log === null ? null : await openPastRuns(opening, { log, io, prefix: PREFIX, signal })
  const opened = opening.move()
  const from = isAtWork ? null : dataDir
  return { history, io, dataDir: from, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

async function openPastRuns(
  opening: AsyncDisposableStack,
  { signal, ...shared }: Omit<NonNullable<Past['history']>, 'runs'> & { readonly signal: AbortSignal },
): Promise<Past['history']> {
  const { log, prefix } = shared
  if ((await log.partitionsOf(sharedTopics(prefix).runs, { signal })) === null) return null
  return { ...shared, runs: opening.use(await RunsView.open(shared, { signal })) }
}

/** The vault of the topics so far; empty if there is none. */
async function openKept(
  past: Pick<Past, 'history'>,
  options: Pick<EmbeddedOptions, 'dir' | 'env' | 'signal' | 'mask'>,
): Promise<KeptSecrets & AsyncDisposable> {
  const none = { ...NOTHING_KEPT, [Symbol.asyncDispose]: () => Promise.resolve() }
  return (await openPastVault(past, options)) ?? none
}

/** The vault of the topics so far; null if there is none. */
export async function openPastVault(
  { history }: Pick<Past, 'history'>,
  { dir, env, signal, mask }: Pick<EmbeddedOptions, 'dir' | 'env' | 'signal' | 'mask'>,
): Promise<Vault | null> {
  if (history === null) return null
  const { log, io, prefix } = history
  // A log from before there was a vault lacks the topic.
  if ((await log.partitionsOf(sharedTopics(prefix).secrets, { signal })) === null) return null
  const keys = isDistributed(env) ? environmentKeys(env) : keysOf(dataDirOf({ dir, env }), env)
  return await Vault.open({ log, io, prefix, keys, onOpened: mask }, { signal })
}

/**
 * The connections that `validate --connect` tries. Their secrets come from the environment and, if that lacks
 * some of `secrets`, from the vault. `unset` has the names of `secrets` that neither has.
 */
export async function connectionsOf(
  options: EmbeddedOptions & { readonly secrets: readonly string[] },
): Promise<Connections & { readonly unset: readonly string[] } & AsyncDisposable> {
  const { env, secrets } = options
  await using opening = new AsyncDisposableStack()
  let kept = NOTHING_KEPT
  // On Kafka only the services need the secrets, so this process may not have them.
  let seesAll = !isDistributed(env)
  if (secrets.some(name => !isInEnvironment(env, name)) && mayHaveVault(options)) {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-vault-'))
    opening.defer(() => rm(folder, { recursive: true, force: true }))
    const past = opening.use(await openPast(options, join(folder, 'schemas.db')))
    kept = opening.use(await openKept(past, options))
    seesAll = true
  }
  const sourceOptions = sourceOptionsOf(options, kept)
  const connections = connectionsWith(env, {
    openSource: source => openSource(source, sourceOptions),
    openStream: (source, sync) => openStreamSource(source, { ...sourceOptions, sync }),
    openSender: () => senderOf({ connections: 1, ...networkOf(env) }),
    secretFor: sourceOptions.secretFor,
    secretOf: secretsOf(env, kept),
  })
  const unset = secrets.filter(name => seesAll && !isInEnvironment(env, name) && kept.find(name) === null)
  const opened = opening.move()
  return { ...connections, unset, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}
