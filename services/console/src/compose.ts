/** The console on Kafka and the schema registry. The one place of this service that names adapters. */
import { randomBytes } from 'node:crypto'
import { storedCatalog } from '@sluice/control/catalog'
import type { Pipeline } from '@sluice/control/pipeline'
import { ProjectControl } from '@sluice/control/project-control'
import type { Samples } from '@sluice/control/resources/sample-preview'
import { ulid } from '@sluice/domain/ulid'
import { endOf } from '@sluice/flow/ends'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { openStage } from '@sluice/process/open-stage'
import { openVault } from '@sluice/process/open-vault'
import type { StartContext, StartedService } from '@sluice/runtime/run-service'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { environmentKeys } from '@sluice/vault/key-file'
import { createApi } from './api/create-api.ts'
import { WebPages } from './api/web-pages.ts'
import { AskedRuns } from './asked-runs.ts'
import type { ConsoleConfig } from './config.ts'

/** Opens what the console needs; rejects as `openStage` does. */
export async function start(config: ConsoleConfig, context: StartContext): Promise<StartedService> {
  const { logger, metrics, mask, signal } = context
  const { access, env, prefix } = config
  await using opening = new AsyncDisposableStack()
  const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
  const clientId = `${prefix}-console`
  const stage = opening.use(
    await openStage(config, adapters, { clientId, outlasts: true, logger, metrics, signal }),
  )
  const newRunId = (): string => ulid(Date.now(), randomBytes(10))
  // A wrong key is told here. Without one the console can do all but change the vault.
  const hasKey = environmentKeys(env).known() !== null
  const vault = hasKey ? opening.use(await openVault(stage, env, { logger, onOpened: mask, signal })) : null
  const pipeline: Pipeline = {
    ...stage,
    logger,
    newRunId,
    vault,
    servicesElsewhere: true,
    start: (_only, { drain }) => endOf(drain),
  }
  const tell = (notice: string): void => logger.info(notice)
  const previewing = { env, logger, newRunId, dir: '/', sourceRoots: [], mask, tell }
  let loaded: Promise<Samples> | null = null
  const samples = (): Promise<Samples> =>
    (loaded ??= import('@sluice/embedded/samples/compose').then(({ samplesOf }) =>
      samplesOf(previewing, null),
    ))
  const control = new ProjectControl(storedCatalog(stage), {
    hasHistory: true,
    open: () => Promise.resolve(pipeline),
    assertSecrets: () => Promise.resolve(),
    openNextRun: async (definition, ending) => {
      const { openNextRun } = await import('@sluice/embedded/compose')
      return await openNextRun({ ...previewing, definition, signal: ending })
    },
    samples: {
      // A server has no project folder.
      dir: null,
      openSample: async (...of) => await (await samples()).openSample(...of),
      readRows: async (...of) => await (await samples()).readRows(...of),
    },
  })
  const neverCancelled = new AbortController().signal
  const api = opening.use(
    await createApi({
      access,
      openControl: () => Promise.resolve(control),
      asked: new AskedRuns({ logger, cancel: neverCancelled }),
      logger,
      pages: await WebPages.read(),
    }),
  )
  const opened = opening.move()
  return {
    ready: {},
    listener: api.listener,
    run: ({ drain }) => endOf(drain),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
