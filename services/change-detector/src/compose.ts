/**
 * Runs the change-detector on Kafka, the schema registry, Redis and DuckDB. No other file of this service
 * names adapters.
 */
import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import type { Definition } from '@sluice/contracts/resources'
import type { ExtractRowsOptions } from '@sluice/delivered-state/extract-port'
import type { StateOptions } from '@sluice/delivered-state/port'
import { FreedMemory } from '@sluice/delivered-state/adapters/freed-memory'
import { duckdbSize, memoryBudget, queryBytes } from '@sluice/domain/memory-budget'
import { ulid } from '@sluice/domain/ulid'
import { createRedisLocks } from '@sluice/partition/adapters/redis'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { fileSourceLimits, sourcePrivateNetworks } from '@sluice/runtime/settings/reach'
import { makeFolder } from '@sluice/runtime/make-folder'
import { makePrivateFolders } from '@sluice/runtime/private-files'
import type { StartContext, StartedService } from '@sluice/runtime/run-service'
import { openTraces } from '@sluice/runtime/traces/open-traces'
import { growHeapByRoom } from '@sluice/runtime/machine/heap-growth'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { boundSecrets, watchedSecrets } from '@sluice/secrets/bound-secrets'
import { openSource, openStreamSource } from '@sluice/sources/adapters/open-source'
import { createStageMetrics } from '@sluice/partition/stage-metrics'
import { GroupReadiness } from '@sluice/partition/process/group-readiness'
import { openLocks, locksReadiness } from '@sluice/partition/process/open-locks'
import { openStage } from '@sluice/partition/process/open-stage'
import { openVault } from '@sluice/partition/process/open-vault'
import { currentDefinition, announceSigning } from '@sluice/resources/stored-documents'
import { detectorGroup } from '@sluice/topics/topics'
import { runChangeDetector } from './change-detector.ts'
import type { DetectorConfig } from './config.ts'
import { openExtractRows } from '@sluice/delivered-state/adapters/extract-rows'
import { openState, openStreamState } from '@sluice/delivered-state/adapters/state-cache'

/** Opens what the change-detector needs; rejects as `openStage` does. */
export async function start(config: DetectorConfig, context: StartContext): Promise<StartedService> {
  const { logger, metrics, mask, signal } = context
  const { env } = config
  const budget = memoryBudget(config.memoryBytes)
  const fileLimits = fileSourceLimits(env, [])
  const privateNetworks = sourcePrivateNetworks(env)
  if (fileLimits.roots?.length === 0)
    logger.info('SLUICE_SOURCE_ROOTS is not set: runs of syncs whose source is of type duckdb fail')
  const dataDir = resolve(config.dataDir)
  makePrivateFolders(dataDir, { below: FOLDERS, tell: notice => logger.warn(notice) })
  const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
  const clientId = `${config.prefix}-change-detector`
  await using opening = new AsyncDisposableStack()
  const freed = opening.use(new FreedMemory())
  const room = { memoryBytes: config.memoryBytes, reservedBytes: budget.duckdbBytes }
  opening.use(growHeapByRoom({ ...room, giveBack: () => freed.giveBack() }))
  const traces = opening.use(await openTraces(env, { service: 'sluice-change-detector', logger }))
  const stage = opening.use(
    await openStage(config, adapters, { clientId, outlasts: true, logger, metrics, signal }),
  )
  await announceSigning(stage, { signal })
  const locks = opening.use(await openLocks(config, createRedisLocks, context))
  const vault = opening.use(await openVault(stage, env, { logger, onOpened: mask, signal }))
  const secretFor = watchedSecrets(boundSecrets(env, 'refused', vault), mask)
  const readiness = new GroupReadiness(detectorGroup(config.prefix))
  const sourceOptions = { secretFor, memoryBytes: queryBytes(budget), privateNetworks, fileLimits }
  const deps = {
    ...stage,
    locks,
    readiness,
    stageMetrics: createStageMetrics(metrics),
    traces,
    logger,
    dataDir,
    newRunId: (): string => ulid(Date.now(), randomBytes(10)),
    now: Date.now,
    isOneProcess: false,
    runsSchedules: true,
    resolveDefinition: async (sync: string, runSignal: AbortSignal): Promise<Definition> => {
      // The run uses a password that was set before somebody asked for the run.
      await vault.caughtUp({ signal: runSignal })
      return await currentDefinition(stage, sync, { signal: runSignal })
    },
    openSource: ({ source }: Definition) => openSource(source, sourceOptions),
    streams: {
      openSource: ({ source, sync: { name: sync } }: Definition) =>
        openStreamSource(source, { ...sourceOptions, sync }),
      openState: (state: StateOptions) => {
        makeFolders(dataDir)
        return openStreamState(dataDir, state, logger)
      },
      openRows: (rows: ExtractRowsOptions) =>
        openExtractRows({ ...rows, memoryLimit: duckdbSize(budget.duckdbBytes) }),
    },
    openState: (state: StateOptions) => {
      makeFolders(dataDir)
      return openState(dataDir, { ...state, memoryLimit: duckdbSize(budget.duckdbBytes) }, logger)
    },
  }
  const opened = opening.move()
  return {
    ready: { groups: () => readiness.check(), redis: () => locksReadiness(locks) },
    run: ends => runChangeDetector(deps, ends),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

const FOLDERS = ['tmp', 'state']

/** Called at the start and before each run: somebody may have deleted the cache since the last one. */
function makeFolders(dataDir: string): void {
  for (const folder of FOLDERS) makeFolder(join(dataDir, folder))
}
