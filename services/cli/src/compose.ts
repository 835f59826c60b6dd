/**
 * Decides where a project runs: in its own folder, or on Kafka if the environment names one. This is the only
 * file of the command that names adapters. It loads each adapter when a command needs it, since most need
 * none.
 */
import { randomBytes } from 'node:crypto'
import type { Connections } from '@sluice/control/check-connections'
import type { NextRun } from '@sluice/control/next-run'
import type { Pipeline } from '@sluice/control/pipeline'
import type { Place } from '@sluice/control/project-control'
import type { Definition, ResourceSpec } from '@sluice/contracts/resources'
import { secretNames } from '@sluice/contracts/secret-references'
import { ulid } from '@sluice/domain/ulid'
import { hasEmbeddedHistory } from '@sluice/embedded/state-folder'
import { assertSecrets } from '@sluice/project/checks/assert-secrets'
import { distributedSettings, isDistributed } from '@sluice/runtime/distributed-settings'
import type { Environment } from '@sluice/runtime/environment'
import type { Logger } from '@sluice/runtime/logger'
import { unboundNotice, unboundSecrets } from '@sluice/secrets/bound-secrets'

/** A person waits for a command, so it gives up sooner than a service. */
const STARTUP_TIMEOUT = '10s'

export interface ProjectOptions {
  /** The project folder, absolute. */
  readonly dir: string
  readonly env: Environment
  readonly logger: Logger
  readonly signal: AbortSignal
  /** Tells a person a sentence beside the result of the command. */
  readonly tell: (notice: string) => void
}

/** The pipeline that the environment asks for. */
export function placeOf(options: ProjectOptions): Place {
  const { dir, env } = options
  const nextRun: Place['openNextRun'] = (definition, signal) =>
    openNextRun({ ...options, definition, signal })
  if (isDistributed(env)) {
    const open = (): Promise<Pipeline> => openDistributed(options)
    // The services have the secrets, and this process need not have them.
    return { hasHistory: true, open, assertSecrets: () => undefined, openNextRun: nextRun }
  }
  return {
    hasHistory: hasEmbeddedHistory(dir),
    open: async () => {
      const { openEmbedded } = await import('@sluice/embedded/compose')
      return await openEmbedded({ ...options, newRunId: newUlid })
    },
    assertSecrets: definition => {
      assertSecrets(definition, env)
      tellUnbound([definition.source, definition.destination], options)
    },
    openNextRun: nextRun,
  }
}

/**
 * Tells about secrets of these resources that may go to any host, as nobody has said where they may go. A
 * process that shares its topics with other authors refuses such secrets, and has nothing to tell.
 */
export function tellUnbound(
  specs: readonly ResourceSpec[],
  { env, tell }: Pick<ProjectOptions, 'env' | 'tell'>,
): void {
  if (isDistributed(env)) return
  const names = unboundSecrets(secretNames(JSON.stringify(specs)), env)
  if (names.length > 0) tell(unboundNotice(names))
}

/** Opens a preview of a sync's next run. */
async function openNextRun(options: ProjectOptions & { readonly definition: Definition }): Promise<NextRun> {
  tellUnbound([options.definition.source], options)
  const embedded = await import('@sluice/embedded/compose')
  return await embedded.openNextRun({ ...options, newRunId: newUlid })
}

/** The connections that `validate --connect` tries. */
export async function connectionsOf(env: Environment): Promise<Connections> {
  const embedded = await import('@sluice/embedded/compose')
  return embedded.connectionsOf(env)
}

/**
 * Opens the topics on Kafka. Rejects with `unreachable` and the address of the service that does not answer.
 */
async function openDistributed({ env, logger, signal }: ProjectOptions): Promise<Pipeline> {
  const [{ createKafkaLog }, { createRegistryCodec }, { openStage }] = await Promise.all([
    import('@sluice/message-log/adapters/kafka'),
    import('@sluice/schema-codec/adapters/registry'),
    import('@sluice/process/open-stage'),
  ])
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
