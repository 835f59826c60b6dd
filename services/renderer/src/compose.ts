/**
 * Runs the renderer on Kafka, the schema registry and Redis. No other file of this service names adapters.
 */
import { memoryBudget } from '@sluice/domain/memory-budget'
import { createRedisLocks } from '@sluice/partition/adapters/redis'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import type { StartContext, StartedService } from '@sluice/runtime/run-service'
import type { ServiceConfig } from '@sluice/runtime/service-config'
import { growHeapByRoom } from '@sluice/runtime/machine/heap-growth'
import { SlowRenders } from '@sluice/templates/adapters/thread'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { createStageMetrics } from '@sluice/partition/stage-metrics'
import { GroupReadiness } from '@sluice/partition/process/group-readiness'
import { locksReadiness, openLocks } from '@sluice/partition/process/open-locks'
import { newSuspects } from '@sluice/partition/deaths/entry'
import { openStage } from '@sluice/partition/process/open-stage'
import { RendererMemory } from './renderer-memory.ts'
import { runRenderer } from './renderer.ts'

/** Opens the renderer's dependencies. Rejects as `openStage` does. */
export async function start(config: ServiceConfig, context: StartContext): Promise<StartedService> {
  const { logger, metrics, signal } = context
  const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
  const clientId = `${config.prefix}-renderer`
  await using opening = new AsyncDisposableStack()
  opening.use(growHeapByRoom(config))
  const stage = opening.use(
    await openStage(config, adapters, { clientId, outlasts: true, logger, metrics, signal }),
  )
  const locks = opening.use(await openLocks(config, createRedisLocks, context))
  const readiness = new GroupReadiness()
  const stageMetrics = createStageMetrics(metrics)
  const room = new RendererMemory(memoryBudget(config.memoryBytes).buffersBytes)
  const { render: renderElsewhere } = opening.use(new SlowRenders())
  const opened = opening.move()
  return {
    ready: { groups: () => readiness.check(), redis: () => locksReadiness(locks) },
    run: ends =>
      runRenderer(
        { ...stage, room, renderElsewhere, locks, readiness, stageMetrics, logger, suspects: newSuspects() },
        ends,
      ),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
