/** The renderer on Kafka and the schema registry. The one place of this service that names adapters. */
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import type { StartContext, StartedService } from '@sluice/runtime/run-service'
import type { ServiceConfig } from '@sluice/runtime/service-config'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { openStage } from '@sluice/stage/open-stage'
import { runRenderer } from './renderer.ts'

/** Opens what the renderer needs; rejects as `openStage` does. */
export async function start(config: ServiceConfig, context: StartContext): Promise<StartedService> {
  const { logger, signal } = context
  const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
  const stage = await openStage(config, adapters, { clientId: `${config.prefix}-renderer`, logger, signal })
  return {
    ready: {},
    run: ends => runRenderer({ ...stage, logger }, ends),
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  }
}
