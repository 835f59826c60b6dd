/**
 * Opens what every process of the distributed profile needs first: the log, the schemas, the shared topics
 * and the view of `runs`. Processes start in any order, so it waits for Kafka and the registry.
 */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { LogStall, MessageLog } from '@sluice/message-log/port'
import type { DistributedSettings, KafkaSettings } from '@sluice/runtime/settings/distributed'
import type { Logger } from '@sluice/runtime/logger'
import type { Metrics } from '@sluice/runtime/metrics'
import { waitUntilReachable } from '@sluice/runtime/wait-until-reachable'
import type { SchemaCodec } from '@sluice/schema-codec/port'
import { ForeignRecords, reportForeign } from '@sluice/topics/foreign-records'
import { RecordIo } from '@sluice/topics/record-io'
import { RunsView } from '@sluice/runs/runs-view'
import { Definitions } from '@sluice/resources/stored-documents'
import { sharedTopics, sharedTopicSpecs } from '@sluice/topics/topics'

/**
 * The limit of one attempt at the start is short, so that the log soon says which server the process waits
 * for.
 */
const PROBE_MS = 3_000

/** The constructors of the adapters, which only a `compose.ts` may name. */
export interface StageAdapters {
  readonly createLog: (
    options: KafkaSettings & {
      readonly clientId: string
      readonly retryMs?: number
      readonly logger: { debug(message: string): void }
      readonly onStall?: (stall: LogStall) => void
    },
  ) => MessageLog
  readonly createCodec: (options: {
    readonly url: string
    readonly clientId: string
    readonly deadlineMs?: number
    readonly missingForMs?: number
  }) => SchemaCodec
}

export interface StageContext extends AsyncDisposable {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly runs: RunsView
  readonly definitions: Definitions
}

export interface OpenStageOptions {
  /** Shown in the logs of Kafka and the registry. */
  readonly clientId: string
  /** True for a service, which outlasts every outage of Kafka and the registry. A command gives up. */
  readonly outlasts: boolean
  readonly logger: Logger
  /** Counts the records that are skipped. Absent in a command. */
  readonly metrics?: Metrics
  readonly signal: AbortSignal
}

/** Kafka and the registry, which have answered, and to which nothing is written yet. */
export interface Backbone extends AsyncDisposable {
  readonly log: MessageLog
  readonly codec: SchemaCodec
  readonly prefix: string
}

/**
 * Waits for Kafka and the registry. Rejects with `unreachable` and the address of a server that did not
 * answer in time, and with `config` for a refusal.
 */
export async function openBackbone(
  settings: DistributedSettings,
  adapters: StageAdapters,
  options: Omit<OpenStageOptions, 'outlasts'>,
): Promise<Backbone> {
  const { kafka, prefix, registryUrl, startupTimeoutMs: timeoutMs } = settings
  const { clientId, logger, signal } = options
  const waiting = { timeoutMs, logger, signal }
  const logOptions = { ...kafka, clientId, logger: { debug: (message: string) => logger.debug(message) } }
  await using opening = new AsyncDisposableStack()
  await waitUntilReachable(
    {
      what: 'Kafka',
      address: kafka.brokers.join(','),
      attempt: async ending => {
        await using probe = adapters.createLog({ ...logOptions, retryMs: PROBE_MS })
        await probe.partitionsOf(sharedTopics(prefix).runs, { signal: ending })
      },
    },
    waiting,
  )
  const onStall = (stall: LogStall): void => logStall(logger, stall)
  const log = opening.use(adapters.createLog({ ...logOptions, onStall }))
  await waitUntilReachable(
    {
      what: 'the schema registry',
      address: addressOf(registryUrl),
      attempt: async ending => {
        const probing = { deadlineMs: PROBE_MS, missingForMs: 0 }
        await using probe = adapters.createCodec({ url: registryUrl, clientId, ...probing })
        await askForNothing(probe, ending)
      },
    },
    waiting,
  )
  const codec = opening.use(adapters.createCodec({ url: registryUrl, clientId }))
  const opened = opening.move()
  return { log, codec, prefix, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** Opens everything, and makes the topics that are missing. Rejects as `openBackbone` does. */
export async function openStage(
  settings: DistributedSettings,
  adapters: StageAdapters,
  options: OpenStageOptions,
): Promise<StageContext> {
  const { logger, outlasts, signal } = options
  await using opening = new AsyncDisposableStack()
  const { log, codec, prefix } = opening.use(await openBackbone(settings, adapters, options))
  await log.ensureTopics(sharedTopicSpecs(prefix), { signal }).catch((error: unknown) => {
    throw isSluiceError(error, 'not-found') ? new SluiceError('config', error.message) : error
  })
  const foreign = new ForeignRecords(reportForeign(logger, options.metrics))
  let io = RecordIo.reading(codec, prefix)
  // A registry that has just started answers the first question soon, and takes long for the first schemas.
  await waitUntilReachable(
    {
      what: 'the schema registry',
      address: addressOf(settings.registryUrl),
      attempt: async ending => {
        io = await RecordIo.open(codec, prefix, { signatures: settings.signatures, foreign, signal: ending })
      },
    },
    { timeoutMs: settings.startupTimeoutMs, logger, signal },
  )
  const shared = { log, io, prefix }
  const onTransientFailure = (err: unknown): void =>
    logger.warn({ err }, 'the runs cannot be followed for now')
  const patience = outlasts ? { onTransientFailure } : {}
  const runs = opening.use(await RunsView.open({ ...shared, ...patience }, { signal }))
  const opened = opening.move()
  return {
    ...shared,
    runs,
    definitions: new Definitions(shared),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

function logStall(logger: Logger, stall: LogStall): void {
  if (stall.kind === 'over')
    logger.info({ lastedMs: Math.round(stall.lastedMs) }, 'Kafka answers again, and work goes on')
  else
    logger.warn(
      { what: stall.what, sinceMs: Math.round(stall.sinceMs) },
      'Kafka has not answered for some seconds; work waits for it',
    )
}

/** Asks the registry for a schema that does not exist. A registry that answers so is reachable. */
async function askForNothing(codec: SchemaCodec, signal: AbortSignal): Promise<void> {
  try {
    await codec.decode([Uint8Array.of(0, 0x7f, 0xff, 0xff, 0xff)], { signal })
  } catch (error) {
    if (!isSluiceError(error, 'corrupt')) throw error
  }
}

/** Returns the URL without its user and password. */
export function addressOf(url: string): string {
  const shown = new URL(url)
  shown.username = ''
  shown.password = ''
  return shown.href
}
