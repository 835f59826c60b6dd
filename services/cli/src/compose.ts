/**
 * Decides where a project runs: in its own folder, or on Kafka if the environment names one. This is the only
 * file of the command that names adapters. It loads each adapter when a command needs it, since most need
 * none.
 */
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Catalog } from '@sluice/control/catalog'
import type { Check } from '@sluice/control/health/check'
import type { Connections } from '@sluice/control/check-connections'
import type { NextRun } from '@sluice/control/runs/next-run'
import type { Pipeline } from '@sluice/control/pipeline'
import { serverOf, type ServerAddress } from '@sluice/control/server-address'
import type { Control } from '@sluice/control/port'
import type { FolderHost, ProjectHost } from '@sluice/control/project-control'
import type { Samples } from '@sluice/control/resources/sample-preview'
import type { DestinationSpec, ResourceSpec } from '@sluice/contracts/resources'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type * as backups from '@sluice/embedded/backup/compose'
import type { UpgradeCheck } from '@sluice/control/health/upgrade-checks'
import type { FoundFolder } from '@sluice/embedded/upgrade/compose'
import type { LoggingIn } from '@sluice/embedded/log-in'
import type { HttpSender } from '@sluice/http-sender/port'
import { proxySettings } from '@sluice/runtime/settings/proxies'
import { destinationPrivateNetworks } from '@sluice/runtime/settings/reach'
import { secretNames } from '@sluice/contracts/secret-references'
import { ulid } from '@sluice/domain/ulid'
import { endOf } from '@sluice/flow/ends'
import type { NextRunOptions } from '@sluice/embedded/compose'
import type { SyncTesting } from '@sluice/project/sync-tests/sync-testing'
import { dataDirOf, hasEmbeddedHistory } from '@sluice/embedded/state-folder'
import type { Project } from '@sluice/project/project'
import { assertSecrets } from '@sluice/project/checks/assert-secrets'
import { shellVariables } from '@sluice/project/checks/doubtful-values'
import { distributedSettings, hasOtherAuthors, isDistributed } from '@sluice/runtime/settings/distributed'
import { secretOf, type Environment } from '@sluice/runtime/environment'
import type { Logger } from '@sluice/runtime/logger'
import { userName } from '@sluice/runtime/machine/user-name'
import {
  boundSecrets,
  watchedSecrets,
  unboundNotice,
  unboundSecrets,
  type KeptSecrets,
} from '@sluice/secrets/bound-secrets'
import { secretChecks } from '@sluice/secrets/bound-secrets'
import { isInEnvironment, variableIn } from '@sluice/secrets/environment'
import type { Vault } from '@sluice/secrets/vault/vault'
import { withFirstRun, ownedIn, publishedIn } from './folder/folder-owner.ts'
import type { Up } from './folder/serve-folder.ts'

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
  /** Folders that sources on files may read if `SLUICE_SOURCE_ROOTS` names none. Default: any folder. */
  readonly sourceRoots?: readonly string[]
}

interface ControlOptions extends ProjectOptions {
  /** True if every resource of the project has to be right. Default: only the resources that a sync uses. */
  readonly isWhole?: boolean
  readonly firstRun?: FirstRun | undefined
}

/** The way in which syncs begin that never ran. `syncs` is null for all syncs of the project. */
export interface FirstRun {
  readonly syncs: readonly string[] | null
  readonly how: 'backfill' | 'skip-existing'
}

/** Opens control of the syncs where the environment says: on a server, on Kafka, or in the folder. */
export async function openControl(options: ControlOptions): Promise<Control> {
  const server = serverOf(options)
  if (server !== null) return await askServer(server)
  const load = await loaderOf(options)
  const { projectCatalog } = await import('@sluice/control/catalog')
  const project = await load()
  reportBrokenAlerts(project, options.tell)
  for (const warning of shellVariables(project)) options.tell(warning)
  return await controlOf(options, projectCatalog(project))
}

/** Opens control of the vault on a server, on Kafka, or in the folder, even if the project has mistakes. */
export async function openSecrets(options: ProjectOptions): Promise<Control> {
  const server = serverOf(options)
  if (server !== null) return await askServer(server)
  const { unloadedCatalog } = await import('@sluice/control/catalog')
  return await controlOf(options, unloadedCatalog(await loaderOf(options)))
}

/** Reports mistakes that disable an alert. No run would report them, since no run needs an alert. */
function reportBrokenAlerts({ blocked, unread }: Project, tell: ProjectOptions['tell']): void {
  const mistakes = new Set(unread)
  for (const [key, details] of blocked)
    if (key.startsWith('alert/')) for (const detail of details) mistakes.add(detail)
  for (const { file, line, column, message } of mistakes)
    tell(
      `${[file, line, column].join(':')} ${message}. Until you fix it, an alert in that file stays as it was stored last, and a new one notifies nobody.`,
    )
}

async function loaderOf(options: ControlOptions): Promise<() => Promise<Project>> {
  const { dir, env, signal, isWhole = false, firstRun } = options
  const { loadProject, loadUsable } = await import('@sluice/project/load-project')
  return async () => {
    const project = await (isWhole ? loadProject : loadUsable)(dir, { env, signal })
    return withFirstRun(firstRun, ownedIn(dataDirHere(options), project))
  }
}

/** True if nothing has run in the folder so far. */
export function isFirstHere({ dir, env }: Pick<ProjectOptions, 'dir' | 'env'>): boolean {
  return dataDirHere({ dir, env }) !== null && !hasEmbeddedHistory({ dir, env })
}

/** The environments of a folder in which something ran. Null stands for the folder without one. */
export async function environmentsThatRan(dir: string): Promise<readonly (string | null)[]> {
  const folders = await readdir(join(dataDirOf({ dir, env: {} }), 'env')).catch(() => [])
  return [null, ...folders].filter(name =>
    hasEmbeddedHistory({ dir, env: name === null ? {} : { SLUICE_ENV: name } }),
  )
}

/**
 * The folder of the project's own log. Null if the log is elsewhere, and has resources of other projects,
 * too.
 */
export function dataDirHere({ dir, env }: Pick<ProjectOptions, 'dir' | 'env'>): string | null {
  return (env['SLUICE_URL'] ?? '') === '' && !isDistributed(env) ? dataDirOf({ dir, env }) : null
}

async function controlOf(options: ControlOptions, catalog: Catalog): Promise<Control> {
  const { env } = options
  if (isDistributed(env)) {
    const { ProjectControl } = await import('@sluice/control/project-control')
    const open = (): Promise<Pipeline> => openDistributed(options)
    const openNext: ProjectHost['openNextRun'] = (definition, signal) =>
      openNextRun({ ...options, definition, signal })
    // The services have the secrets, and this process need not have them.
    const host = {
      ...{ by: userName(), hasHistory: true, open, openNextRun: openNext },
      assertSecrets: () => Promise.resolve(),
      variableOf: (name: string) => variableIn(env, name),
      destinationSecrets: (vault: Vault | null) => {
        return { secretFor: secretChecks(env, 'refused', vault ?? undefined), knowsAll: false, vault }
      },
      ...{
        samples: lazySamples(options),
        openNoticeSenders: (kept: Vault | null) => openNoticeSenders(options, kept),
      },
      onPublished: publishedIn(dataDirHere(options), options.tell),
    }
    return new ProjectControl(catalog, host)
  }
  const { FolderControl } = await import('./folder/folder-control.ts')
  const { mask } = await import('./cli-logger.ts')
  const embedded = { ...options, newRunId: newUlid, mask }
  return new FolderControl({
    ...options,
    catalog,
    dataDir: dataDirOf(options),
    hasHistory: () => hasEmbeddedHistory(options),
    loadProject: await loaderOf(options),
    openPipeline: async expected =>
      (await import('@sluice/embedded/compose')).openEmbedded({ ...embedded, expected }),
    openToRead: async () => (await import('@sluice/embedded/compose')).openToRead(embedded),
    askHolder: path => askServer({ kind: 'socket', path }),
    hostOf: state => folderHost(options, state),
  })
}

async function askServer(address: ServerAddress): Promise<Control> {
  const { createServerControl } = await import('@sluice/control/adapters/server')
  return createServerControl(address)
}

/** The part of a `ProjectHost` for syncs that run in their folder. */
function folderHost(options: ProjectOptions, { isAtWork }: { readonly isAtWork: boolean }): FolderHost {
  const { env } = options
  return {
    by: userName(),
    variableOf: name => variableIn(env, name),
    destinationSecrets: vault => {
      const ungranted = hasOtherAuthors(env) ? 'refused' : 'allowed'
      const secretFor = secretChecks(env, ungranted, vault ?? undefined)
      return { secretFor, knowsAll: vault !== null || !hasEmbeddedHistory(options), vault }
    },
    onPublished: publishedIn(dataDirHere(options), options.tell),
    samples: lazySamples({ ...options, serves: isAtWork }),
    assertSecrets: async (definition, open) => {
      const specs = [definition.source, definition.destination]
      const isElsewhere = secretNames(JSON.stringify(specs)).some(name => !isInEnvironment(env, name))
      const mayBeKept = isElsewhere && hasEmbeddedHistory(options)
      if (mayBeKept && open === null) return
      const vault = mayBeKept && open !== null ? ((await open()).vault ?? undefined) : undefined
      assertSecrets(definition, env, vault)
      reportUnbound(specs, options, vault)
    },
    openNextRun: (definition, signal) =>
      openNextRun({ ...options, definition, isAtWork, serves: isAtWork, signal }),
    openNoticeSenders: kept => openNoticeSenders(options, kept),
  }
}

/** Sample rows for the editor of resources. The code that reads them is loaded with the first question. */
function lazySamples(options: ProjectOptions & Pick<NextRunOptions, 'serves'>): Samples {
  let loaded: Promise<Samples> | null = null
  const samples = (): Promise<Samples> =>
    (loaded ??= Promise.all([import('@sluice/embedded/samples/compose'), import('./cli-logger.ts')]).then(
      ([{ samplesOf }, { mask }]) => samplesOf({ ...options, newRunId: newUlid, mask }, options.dir),
    ))
  return {
    dir: options.dir,
    openSample: async (...args) => await (await samples()).openSample(...args),
    readRows: async (...args) => await (await samples()).readRows(...args),
  }
}

/** Serves the folder. Rejects as `serveFolder` does. */
export async function openUp(options: ProjectOptions): Promise<Up> {
  if (isDistributed(options.env))
    throw new SluiceError(
      'usage',
      '`sluice up` serves a folder by itself, and SLUICE_KAFKA_BROKERS is set: unset it, or start `sluice service console`.',
    )
  const [{ openEmbedded }, { serveFolder }, { openHistory }, index, { historySettings }, { mask }] =
    await Promise.all([
      import('@sluice/embedded/compose'),
      import('./folder/serve-folder.ts'),
      import('@sluice/history/open-history'),
      import('@sluice/history/adapters/sqlite'),
      import('@sluice/history/history-settings'),
      import('./cli-logger.ts'),
    ])
  const { dir, env, logger } = options
  const dataDir = dataDirOf(options)
  // This throws for wrong variables before anything is opened.
  const settings = historySettings(env)
  const createIndex = index.createSqliteIndex
  // A person with a token may not be the user of this process, so sources read files of the project alone.
  const opening = hasTokens(options.env) ? { ...options, sourceRoots: [options.dir] } : options
  return await serveFolder({
    ...opening,
    dataDir,
    openIndex: pipeline => openHistory({ ...pipeline, dataDir, settings, createIndex, logger }),
    openPipeline: metrics => openEmbedded({ ...opening, newRunId: newUlid, mask, metrics }),
    projectHost: folderHost(opening, { isAtWork: true }),
    logIn: login => logInWith(opening, login),
    openSender: async () => await senderOf(env),
    checks: async () =>
      (await import('@sluice/embedded/doctor/folder-checks')).folderChecks(dir, dataDir, null),
  })
}

function hasTokens(env: Environment): boolean {
  return ['SLUICE_TOKEN', 'SLUICE_READ_TOKEN', 'SLUICE_TOKENS', 'SLUICE_OIDC_ISSUER'].some(
    name => secretOf(env, name) !== undefined,
  )
}

/**
 * Reports secrets of these resources that may go to any host, since they have no grants. A process that
 * shares its topics with other authors refuses such secrets, so it reports nothing.
 */
export function reportUnbound(
  specs: readonly ResourceSpec[],
  { env, tell }: Pick<ProjectOptions, 'env' | 'tell'>,
  vault?: KeptSecrets,
): void {
  if (hasOtherAuthors(env)) return
  const names = unboundSecrets(secretNames(JSON.stringify(specs)), env, vault)
  if (names.length > 0) tell(unboundNotice(names, env))
}

/** Opens a preview of a sync's next run. */
async function openNextRun(
  options: ProjectOptions & Pick<NextRunOptions, 'definition' | 'isAtWork' | 'serves'>,
): Promise<NextRun> {
  reportUnbound([options.definition.source], options)
  const [embedded, { mask }] = await Promise.all([
    import('@sluice/embedded/compose'),
    import('./cli-logger.ts'),
  ])
  return await embedded.openNextRun({ ...options, newRunId: newUlid, mask })
}

/** Loads what backs up and restores the log of a folder. */
export async function openBackup(): Promise<typeof backups> {
  return await import('@sluice/embedded/backup/compose')
}

/** Opens the pipeline in which tests of syncs run. */
export async function openTesting(
  project: Project,
  options: Pick<ProjectOptions, 'logger' | 'signal'>,
): Promise<SyncTesting> {
  const { openSyncTesting } = await import('@sluice/embedded/sync-tests/compose')
  return await openSyncTesting(project, { ...options, newRunId: newUlid })
}

/** Opens what sends the notices of alerts. */
async function openNoticeSenders(
  { env }: Pick<ProjectOptions, 'env'>,
  kept: KeptSecrets | null,
): ReturnType<ProjectHost['openNoticeSenders']> {
  const [embedded, { mask }] = await Promise.all([
    import('@sluice/embedded/compose'),
    import('./cli-logger.ts'),
  ])
  return embedded.noticeSenders({ env, mask }, kept ?? { find: () => null })
}

/** The connections that `validate --connect` tries, for resources that refer to these secrets. */
export async function connectionsOf(
  options: ProjectOptions & { readonly secrets: readonly string[] },
): Promise<Connections & { readonly unset: readonly string[] } & AsyncDisposable> {
  const [embedded, { mask }] = await Promise.all([
    import('@sluice/embedded/compose'),
    import('./cli-logger.ts'),
  ])
  return await embedded.connectionsOf({ ...options, newRunId: newUlid, mask })
}

/** Throws `usage` if the vault is on a server, whose secrets this process cannot use. */
export function assertVaultHere(options: Pick<ProjectOptions, 'env' | 'tell'>): void {
  if (serverOf(options) === null) return
  throw new SluiceError(
    'usage',
    '`sluice auth` does not log in through a server. Log in on the page of the destination in its console. Or unset SLUICE_URL, and call `sluice auth` where the vault is: for `sluice up`, in its folder while it is stopped; for services on Kafka, with SLUICE_KAFKA_BROKERS.',
  )
}

/**
 * Opens the vault of the project in this process, which uses its secrets. Rejects with `conflict` if another
 * process has the folder open.
 */
async function openVaultHere(options: ProjectOptions): Promise<{ readonly vault: Vault } & AsyncDisposable> {
  const { env, dir } = options
  if (isDistributed(env)) {
    await using opening = new AsyncDisposableStack()
    const vault = await opening.use(await openDistributed(options)).openVault()
    const opened = opening.move()
    return { vault, [Symbol.asyncDispose]: () => opened.disposeAsync() }
  }
  const [{ openEmbedded }, { mask }] = await Promise.all([
    import('@sluice/embedded/compose'),
    import('./cli-logger.ts'),
  ])
  try {
    return await openEmbedded({ ...options, newRunId: newUlid, mask })
  } catch (error) {
    if (!isSluiceError(error, 'conflict')) throw error
    throw new SluiceError(
      'conflict',
      `Nobody can log in while another process works in ${dir}: stop it, log in, and start it again. ${error.message}`,
      { cause: error },
    )
  }
}

/** Returns the redirect URI that the destination configures; null if it configures none. */
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
  await using opening = new AsyncDisposableStack()
  const { vault } = opening.use(await openVaultHere(options))
  const login = opening.use(await logInWith(options, { destination, redirectUri, vault }))
  const opened = opening.move()
  return { ...login, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** Opens a sender to a server that the operator has named. */
async function senderOf(env: Environment): Promise<HttpSender> {
  const { createUndiciSender } = await import('@sluice/http-sender/adapters/undici')
  return createUndiciSender({ connections: 2, proxy: proxySettings(env) })
}

async function logInWith(
  { env }: Pick<ProjectOptions, 'env'>,
  {
    destination,
    redirectUri,
    vault,
  }: { readonly destination: DestinationSpec; readonly redirectUri: string; readonly vault: Vault },
): Promise<LoggingIn & AsyncDisposable> {
  const [{ beginLogin }, { createUndiciSender }, { mask }] = await Promise.all([
    import('@sluice/embedded/log-in'),
    import('@sluice/http-sender/adapters/undici'),
    import('./cli-logger.ts'),
  ])
  await using opening = new AsyncDisposableStack()
  const sender = opening.use(
    createUndiciSender({
      connections: 1,
      proxy: proxySettings(env),
      neverPrivate: destinationPrivateNetworks(env) === 'never',
    }),
  )
  const ungranted = hasOtherAuthors(env) ? 'refused' : 'allowed'
  const secretFor = watchedSecrets(boundSecrets(env, ungranted, vault), mask)
  const login = await beginLogin(destination, { redirectUri, vault, secretFor, sender })
  const opened = opening.move()
  return { ...login, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/**
 * Opens the topics on Kafka. Rejects with `unreachable` and the address of the service that does not answer.
 */
async function openDistributed({
  env,
  logger,
  signal,
}: ProjectOptions): Promise<Pipeline & { readonly openVault: () => Promise<Vault> }> {
  const [{ createKafkaLog }, { createRegistryCodec }, { openStage }] = await Promise.all([
    import('@sluice/message-log/adapters/kafka'),
    import('@sluice/schema-codec/adapters/registry'),
    import('@sluice/partition/process/open-stage'),
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
  const start: Pipeline['start'] = (_only, { drain }) => endOf(drain)
  const opened = opening.move()
  const openVaultOnce = async (): Promise<Vault> => {
    const [{ openVault }, { mask }] = await Promise.all([
      import('@sluice/partition/process/open-vault'),
      import('./cli-logger.ts'),
    ])
    return opened.use(await openVault(stage, env, { logger, onOpened: mask, signal }))
  }
  let vault: Promise<Vault> | null = null
  const openVault = (): Promise<Vault> => {
    vault ??= openVaultOnce().catch((error: unknown) => {
      vault = null
      throw error
    })
    return vault
  }
  return {
    ...{ ...stage, vault: null, openVault, logger, newRunId: newUlid, servicesElsewhere: true, start },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Returns the checks of the place where the project runs: a server, Kafka or the folder. */
export async function doctorChecks(options: ProjectOptions): Promise<readonly Check[]> {
  const { env, signal } = options
  const server = serverOf(options)
  if (server !== null && server.kind === 'url') {
    const { serverChecks } = await import('./commands/doctor-checks.ts')
    await using control = await askServer(server)
    return await serverChecks(server.url, control, signal)
  }
  if (!isDistributed(env)) return await checksOfFolder(options)
  const [{ kafkaChecks }, { openInspection }, { syncsNeeding, topicsNeeded }] = await Promise.all([
    import('@sluice/control/health/kafka-checks'),
    import('@sluice/embedded/doctor/compose'),
    import('@sluice/control/health/needed-topics'),
  ])
  const settings = distributedSettings({ SLUICE_STARTUP_TIMEOUT: STARTUP_TIMEOUT, ...env })
  const { projectCatalog } = await import('@sluice/control/catalog')
  const project = await (
    await loaderOf(options)
  )().catch((error: unknown) => {
    // Another check reports a mistake in the project.
    if (isSluiceError(error)) return null
    throw error
  })
  const syncs =
    project === null ? [] : await syncsNeeding(await controlOf(options, projectCatalog(project)), signal)
  const { prefix, kafka } = settings
  const needed = topicsNeeded(syncs, { prefix, replication: kafka.replication ?? null, creates: false })
  await using inspection = openInspection(settings, env)
  return await kafkaChecks(inspection, needed, { createsTopics: kafka.createTopics, signal })
}

async function checksOfFolder({ dir, env, signal }: ProjectOptions): Promise<readonly Check[]> {
  const dataDir = dataDirOf({ dir, env })
  const [{ folderChecks }, { folderSocket }] = await Promise.all([
    import('@sluice/embedded/doctor/folder-checks'),
    import('./folder/folder-control.ts'),
  ])
  const checks = await folderChecks(dir, dataDir, { socket: folderSocket(dataDir), env })
  // Without Redis, the limits are counted in the folder.
  if (secretOf(env, 'SLUICE_REDIS_URL') === undefined) return checks
  const [{ redisLooks }, { redisInspection }] = await Promise.all([
    import('@sluice/control/health/kafka-checks'),
    import('@sluice/embedded/doctor/compose'),
  ])
  return [...checks, ...(await redisLooks(redisInspection(env), signal))]
}

/**
 * Looks at what another version has left, in the folder or on Kafka. `writtenBy` is null if nothing says
 * which one.
 */
export async function foundInstallation(options: ProjectOptions): Promise<FoundFolder> {
  const { env, signal } = options
  const [{ folderUpgrade, kafkaUpgrade, storedChecks }, { mask }, { looked }, { asUpgradeCheck }] =
    await Promise.all([
      import('@sluice/embedded/upgrade/compose'),
      import('./cli-logger.ts'),
      import('@sluice/control/health/check'),
      import('@sluice/control/health/upgrade-checks'),
    ])
  if (!isDistributed(env)) return await folderUpgrade({ ...options, mask })
  const settings = distributedSettings({ SLUICE_STARTUP_TIMEOUT: STARTUP_TIMEOUT, ...env })
  const found: UpgradeCheck[] = []
  const look = async (): Promise<readonly Check[]> => {
    found.push(...(await kafkaUpgrade(settings, signal)), ...(await storedChecks({ ...options, mask })))
    return []
  }
  const advice = 'put it right, and check again'
  const failed = await looked('stored', look, { advice, signal })
  return { writtenBy: null, checks: [...found, ...failed.map(asUpgradeCheck)] }
}

const newUlid = (): string => ulid(Date.now(), randomBytes(10))
