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
import type { Definition, DestinationSpec, ResourceSpec } from '@sluice/contracts/resources'
import type { LoggingIn } from '@sluice/embedded/log-in'
import { proxySettings } from '@sluice/runtime/proxy-settings'
import { secretNames } from '@sluice/contracts/secret-references'
import { ulid } from '@sluice/domain/ulid'
import { hasEmbeddedHistory } from '@sluice/embedded/state-folder'
import { assertSecrets } from '@sluice/project/checks/assert-secrets'
import { distributedSettings, isDistributed } from '@sluice/runtime/distributed-settings'
import type { Environment } from '@sluice/runtime/environment'
import type { Logger } from '@sluice/runtime/logger'
import { boundSecrets, unboundNotice, unboundSecrets, type KeptSecrets } from '@sluice/secrets/bound-secrets'
import { isInEnvironment } from '@sluice/secrets/environment'

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
  if (isDistributed(env)) {
    // The services have the secrets, and this process need not have them.
    return { hasHistory: true, open: () => openDistributed(options), assertSecrets: () => Promise.resolve() }
  }
  return {
    hasHistory: hasEmbeddedHistory(dir),
    open: async () => {
      const [{ openEmbedded }, { mask }] = await Promise.all([
        import('@sluice/embedded/compose'),
        import('./cli-logger.ts'),
      ])
      return await openEmbedded({ ...options, newRunId: newUlid, mask })
    },
    assertSecrets: async (definition, open) => {
      const { source, destination } = definition
      const specs = [source, destination]
      const isElsewhere = secretNames(JSON.stringify(specs)).some(name => !isInEnvironment(env, name))
      const vault = isElsewhere && hasEmbeddedHistory(dir) ? (await open()).vault : undefined
      assertSecrets(definition, env, vault)
      tellUnbound(specs, options, vault)
    },
  }
}

/**
 * Tells about secrets of these resources that may go to any host, as nobody has said where they may go. A
 * process that shares its topics with other authors refuses such secrets, and has nothing to tell.
 */
export function tellUnbound(
  specs: readonly ResourceSpec[],
  { env, tell }: Pick<ProjectOptions, 'env' | 'tell'>,
  vault?: KeptSecrets,
): void {
  if (isDistributed(env)) return
  const names = unboundSecrets(secretNames(JSON.stringify(specs)), env, vault)
  if (names.length > 0) tell(unboundNotice(names))
}

/** Opens a preview of a sync's next run. */
export async function openNextRun(
  options: ProjectOptions & { readonly definition: Definition },
): Promise<NextRun> {
  tellUnbound([options.definition.source], options)
  const [embedded, { mask }] = await Promise.all([
    import('@sluice/embedded/compose'),
    import('./cli-logger.ts'),
  ])
  return await embedded.openNextRun({ ...options, newRunId: newUlid, mask })
}

/** The connections that `validate --connect` tries, for resources that refer to these secrets. */
export async function connectionsOf(
  options: ProjectOptions & { readonly secrets: readonly string[] },
): Promise<Connections & AsyncDisposable> {
  const [embedded, { mask }] = await Promise.all([
    import('@sluice/embedded/compose'),
    import('./cli-logger.ts'),
  ])
  return await embedded.connectionsOf({ ...options, newRunId: newUlid, mask })
}

/** Where the server of a destination sends a person back to; null if it says nothing of that. */
export async function redirectOf(destination: DestinationSpec): Promise<string | null> {
  const { configuredRedirect } = await import('@sluice/embedded/log-in')
  return configuredRedirect(destination)
}

/** Begins a login, with the secrets and the vault of the project. Errors: as `beginLogin`. */
export async function logIn(
  options: ProjectOptions,
  destination: DestinationSpec,
  redirectUri: string,
): Promise<LoggingIn & AsyncDisposable> {
  const { env } = options
  const [{ beginLogin }, { createUndiciSender }] = await Promise.all([
    import('@sluice/embedded/log-in'),
    import('@sluice/http-sender/adapters/undici'),
  ])
  await using opening = new AsyncDisposableStack()
  const { vault } = opening.use(await placeOf(options).open())
  const sender = opening.use(createUndiciSender({ connections: 1, proxy: proxySettings(env) }))
  const secretFor = boundSecrets(env, isDistributed(env) ? 'refused' : 'allowed', vault)
  const login = await beginLogin(destination, { redirectUri, secretFor, sender, vault })
  const opened = opening.move()
  return { ...login, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/**
 * Opens the topics on Kafka. Rejects with `unreachable` and the address of the service that does not answer.
 */
async function openDistributed({ env, logger, signal }: ProjectOptions): Promise<Pipeline> {
  const [{ createKafkaLog }, { createRegistryCodec }, { openStage }, { openVault }, { mask }] =
    await Promise.all([
      import('@sluice/message-log/adapters/kafka'),
      import('@sluice/schema-codec/adapters/registry'),
      import('@sluice/process/open-stage'),
      import('@sluice/process/open-vault'),
      import('./cli-logger.ts'),
    ])
  const settings = distributedSettings({ SLUICE_STARTUP_TIMEOUT: STARTUP_TIMEOUT, ...env })
  const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
  const stage = await openStage(settings, adapters, {
    clientId: `${settings.prefix}-cli`,
    outlasts: false,
    logger,
    signal,
  })
  await using opening = new AsyncDisposableStack()
  opening.use(stage)
  const vault = opening.use(await openVault(stage, env, { logger, onOpened: mask, signal }))
  const start: Pipeline['start'] = (_only, { drain }) => aborted(drain)
  const opened = opening.move()
  return {
    ...{ ...stage, vault, logger, newRunId: newUlid, servicesElsewhere: true, start },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}

const newUlid = (): string => ulid(Date.now(), randomBytes(10))
