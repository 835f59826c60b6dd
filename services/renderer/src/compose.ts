/**
 * The renderer on Kafka, the schema registry and Redis. The one place of this service that names adapters.
 */
import { memoryBudget } from '@sluice/domain/memory-budget'
import { createRedisHolds } from '@sluice/holds/adapters/redis'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import type { StartContext, StartedService } from '@sluice/runtime/run-service'
import type { ServiceConfig } from '@sluice/runtime/service-config'
import { growHeapByRoom } from '@sluice/runtime/machine/heap-growth'
import { SlowRenders } from '@sluice/templates/adapters/thread'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { figuresAsMetrics } from '@sluice/partition/process/figures-as-metrics'
import { GroupReadiness } from '@sluice/partition/process/group-readiness'
import { openHolds } from '@sluice/partition/process/open-holds'
import { newSuspects } from '@sluice/partition/deaths/entry'
import { openStage } from '@sluice/partition/process/open-stage'
import { holdsReadiness } from '@sluice/partition/process/holds-readiness'
import { RendererMemory } from './renderer-memory.ts'
import { runRenderer } from './renderer.ts'

/** Opens what the renderer needs; rejects as `openStage` does. */
export async function start(config: ServiceConfig, context: StartContext): Promise<StartedService> {
  const { logger, metrics, signal } = context
  const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
  const clientId = `${config.prefix}-renderer`
  await using opening = new AsyncDisposableStack()
  opening.use(growHeapByRoom(config))
  const stage = opening.use(
    await openStage(config, adapters, { clientId, outlasts: true, logger, metrics, signal }),
  )
  const holds = opening.use(await openHolds(config, createRedisHolds, context))
  const readiness = new GroupReadiness()
  const figures = figuresAsMetrics(metrics)
  const room = new RendererMemory(memoryBudget(config.memoryBytes).buffersBytes)
  const { render: renderElsewhere } = opening.use(new SlowRenders())
  const opened = opening.move()
  return {
    ready: { groups: () => readiness.check(), redis: () => holdsReadiness(holds) },
    run: ends =>
      runRenderer(
        { ...stage, room, renderElsewhere, holds, readiness, figures, logger, suspects: newSuspects() },
        ends,
      ),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
