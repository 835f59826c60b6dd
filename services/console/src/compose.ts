/** Runs the console on Kafka and the schema registry. No other file of this service names adapters. */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { createMailSender } from '@sluice/alerts/adapters/nodemailer'
import { createAlertMetrics } from '@sluice/alerts/keep/alert-metrics'
import { keepAlerts } from '@sluice/alerts/keep/keep-alerts'
import type { SendNoticeDeps } from '@sluice/alerts/send/send-notice'
import { SluiceError } from '@sluice/contracts/errors'
import { storedCatalog, type Catalog } from '@sluice/control/catalog'
import { kafkaChecks } from '@sluice/control/health/kafka-checks'
import { topicsNeeded } from '@sluice/control/health/needed-topics'
import { judgeWith, type KnownMeans } from '@sluice/control/destinations/destination-health'
import { showDestinationHealth } from '@sluice/control/destinations/destination-gauge'
import type { HealthSource } from '@sluice/control/health/read-health'
import type { Pipeline } from '@sluice/control/pipeline'
import { ProjectControl } from '@sluice/control/project-control'
import { documentsApart } from '@sluice/control/resources/apart/documents-apart'
import type { Samples } from '@sluice/control/resources/sample-preview'
import { ulid } from '@sluice/domain/ulid'
import { createSqliteIndex } from '@sluice/history/adapters/sqlite'
import { openHistory, type OpenHistoryOptions } from '@sluice/history/open-history'
import { makeFilesPrivate } from '@sluice/runtime/private-files'
import { runErrors } from '@sluice/control/history/run-errors'
import { endOf, type Ends } from '@sluice/flow/ends'
import { createLocalLocks } from '@sluice/partition/adapters/local'
import { createUndiciSender } from '@sluice/http-sender/adapters/undici'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { openStage } from '@sluice/partition/process/open-stage'
import { openVault } from '@sluice/partition/process/open-vault'
import type { LimitUsage } from '@sluice/rate-limit/port'
import { proxySettings } from '@sluice/runtime/settings/proxies'
import { letsEdit } from '@sluice/runtime/settings/distributed'
import { destinationPrivateNetworks } from '@sluice/runtime/settings/reach'
import type { StartContext, StartedService } from '@sluice/runtime/run-service'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { boundSecrets, secretChecks, watchedSecrets } from '@sluice/secrets/bound-secrets'
import { variableIn } from '@sluice/secrets/environment'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import type { Vault } from '@sluice/secrets/vault/vault'
import manifest from '../package.json' with { type: 'json' }
import { MadeTokens } from './access/made-tokens.ts'
import { SignIns } from './access/sign-ins.ts'
import { createApi } from './api/create-api.ts'
import { WebPages } from './api/web-pages.ts'
import { AskedRuns } from './asked-runs.ts'
import type { ConsoleConfig } from './config.ts'
import { PendingLogins, type LoginsOptions } from './login/pending-logins.ts'

/** Opens the console's services and serves its API. Rejects like `openStage`. */
export async function start(config: ConsoleConfig, context: StartContext): Promise<StartedService> {
  const { logger, metrics, mask, signal } = context
  const { access, env, prefix } = config
  await using opening = new AsyncDisposableStack()
  const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
  const means = { clientId: `${prefix}-console`, outlasts: true, logger, metrics, signal }
  const stage = opening.use(await openStage(config, adapters, means))
  const newRunId = (): string => ulid(Date.now(), randomBytes(10))
  // A wrong key is reported here. A console without a key can do everything but change the vault.
  const hasKey = environmentKeys(env).known() !== null
  const vault = hasKey ? opening.use(await openVault(stage, env, { logger, onOpened: mask, signal })) : null
  const indexed = opening.use(await openIndex(config, { ...stage, logger }))
  const pipeline: Pipeline = {
    ...{ ...stage, usage: opening.use(usageOf(config)), indexed, logger, newRunId, vault },
    servicesElsewhere: true,
    start: (_only, { drain }) => endOf(drain),
  }
  const seen = { mask, tell: (notice: string): void => logger.info(notice) }
  const previewing = { env, logger, newRunId, dir: '/', sourceRoots: [], serves: true, ...seen }
  let loaded: Promise<Samples> | null = null
  const samples = (): Promise<Samples> =>
    (loaded ??= import('@sluice/embedded/samples/compose').then(({ samplesOf }) =>
      samplesOf(previewing, null),
    ))
  const openNoticeSenders = (kept: Vault | null): SendNoticeDeps & AsyncDisposable =>
    noticeSenders(env, kept, mask)
  const control = new ProjectControl(storedCatalog(stage), {
    hasHistory: true,
    open: () => Promise.resolve(pipeline),
    assertSecrets: () => Promise.resolve(),
    variableOf: name => variableIn(env, name),
    destinationSecrets: kept => meansOf(env, kept),
    documents: documentsApart(),
    openNoticeSenders: kept => Promise.resolve(openNoticeSenders(kept)),
    openNextRun: async (definition, ending) => {
      const { openNextRun } = await import('@sluice/embedded/compose')
      return await openNextRun({ ...previewing, definition, signal: ending })
    },
    health: healthOf(config),
    samples: {
      // A server has no project folder.
      dir: null,
      openSample: async (...of) => await (await samples()).openSample(...of),
      readRows: async (...of) => await (await samples()).readRows(...of),
    },
  })
  showDestinationHealth(metrics, control)
  warnOfAuthors(env, logger)
  const logins = opening.use(loginsOf(config, { catalog: storedCatalog(stage), vault, mask }))
  const api = opening.use(
    await createApi({
      ...{ logins, access, ...opening.use(signInsOf(config, logger)) },
      madeTokens: vault === null ? null : new MadeTokens(vault),
      openControl: () => Promise.resolve(control),
      asked: new AskedRuns({ logger, cancel: new AbortController().signal }),
      ...{ logger, metrics },
      pages: await WebPages.read(),
    }),
  )
  const watching = {
    ...{ ...stage, ...opening.use(openNoticeSenders(vault)), logger, locks: createLocalLocks() },
    ...{ publicUrl: config.publicUrl, alertMetrics: createAlertMetrics(metrics) },
    ...{ errorsOf: runErrors.bind(null, stage), judge: judgeWith({ ...stage, means: meansOf(env, vault) }) },
  }
  const opened = opening.move()
  return {
    ready: {},
    listener: api.listener,
    run: (ends: Ends) => keepAlerts(watching, ends),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Delivery may have secrets in an environment of its own. */
function meansOf(env: ConsoleConfig['env'], vault: Vault | null): KnownMeans {
  return { secretFor: secretChecks(env, 'refused', vault ?? undefined), knowsAll: false, vault }
}

/** The health of the console, Kafka, registry and Redis. It is looked up when somebody asks. */
function healthOf(config: ConsoleConfig): HealthSource {
  const doctor = () => import('@sluice/embedded/doctor/compose')
  const { prefix, kafka, env } = config
  return {
    ...{ profile: 'distributed', version: manifest.version, startedAt: Date.now(), host: hostname() },
    checks: async signal => {
      const { openInspection } = await doctor()
      const wanted = topicsNeeded([], { prefix, replication: kafka.replication ?? null, creates: false })
      await using inspection = openInspection(config, env)
      return await kafkaChecks(inspection, wanted, { createsTopics: kafka.createTopics, signal })
    },
    members: async signal => (await doctor()).groupMembers(config, signal),
  }
}

/** Reads the use of the limits in Redis. It loads the client and connects at the first call. */
function usageOf({ redis, prefix }: ConsoleConfig): LimitUsage & AsyncDisposable {
  let opened: Promise<LimitUsage & AsyncDisposable> | null = null
  const open = async (): Promise<LimitUsage & AsyncDisposable> => {
    const { createRedisLimitUsage } = await import('@sluice/rate-limit/adapters/redis-usage')
    return createRedisLimitUsage({ ...redis, prefix })
  }
  return {
    slotsTaken: async destination => await (await (opened ??= open())).slotsTaken(destination),
    [Symbol.asyncDispose]: async () => await (await opened)?.[Symbol.asyncDispose](),
  }
}

/** Opens the index of the history, in files that no other user of the machine may read. */
function openIndex(
  { dataDir, history: settings }: ConsoleConfig,
  deps: Pick<OpenHistoryOptions, 'log' | 'io' | 'prefix' | 'runs' | 'logger'>,
): ReturnType<typeof openHistory> {
  makeFilesPrivate()
  return openHistory({ ...deps, dataDir, settings, createIndex: createSqliteIndex })
}

/** A destination's author may not be the operator of this process, so secrets go only to granted hosts. */
function loginsOf(
  { env }: ConsoleConfig,
  {
    catalog,
    vault,
    mask,
  }: { readonly catalog: Catalog; readonly vault: Vault | null; readonly mask: StartContext['mask'] },
): PendingLogins {
  const begin: LoginsOptions['begin'] = async (destination, redirectUri) => {
    if (vault === null)
      throw new SluiceError(
        'config',
        'This server keeps no logins, since it has no key: set SLUICE_ENCRYPTION_KEY.',
      )
    const { beginLogin } = await import('@sluice/embedded/log-in')
    await using opening = new AsyncDisposableStack()
    const sender = opening.use(createUndiciSender({ connections: 1, ...reachOf(env) }))
    const secretFor = watchedSecrets(boundSecrets(env, 'refused', vault), mask)
    const profile = { allowPrivateNetwork: destinationPrivateNetworks(env) === 'allowed' }
    const login = await beginLogin(destination, { redirectUri, secretFor, sender, vault, profile })
    const opened = opening.move()
    return { ...login, [Symbol.asyncDispose]: () => opened.disposeAsync() }
  }
  return new PendingLogins({ catalog, begin })
}

function noticeSenders(
  env: ConsoleConfig['env'],
  kept: Vault | null,
  mask: StartContext['mask'],
): SendNoticeDeps & AsyncDisposable {
  const reach = reachOf(env)
  const sender = createUndiciSender({ connections: 1, ...reach })
  // An alert's author may not be the operator of this process, so secrets go only to granted hosts.
  const secretFor = watchedSecrets(boundSecrets(env, 'refused', kept ?? undefined), mask)
  const allowPrivateNetwork = destinationPrivateNetworks(env) === 'allowed'
  const network = { allowPrivateNetwork, neverPrivate: reach.neverPrivate }
  const means = { sender, mailer: createMailSender(), secretFor, ...network, now: Date.now }
  return { ...means, [Symbol.asyncDispose]: () => sender[Symbol.asyncDispose]() }
}

/** Services cannot see from their own settings that the tokens of this process let others write resources. */
function warnOfAuthors(env: ConsoleConfig['env'], logger: StartContext['logger']): void {
  if (!letsEdit(env) || env['SLUICE_DESTINATION_PRIVATE_NETWORKS'] !== undefined) return
  logger.warn(
    'SLUICE_TOKENS or SLUICE_OIDC_ROLES lets others write resources: set SLUICE_SOURCE_PRIVATE_NETWORKS and SLUICE_DESTINATION_PRIVATE_NETWORKS to `refused` or `never` for change-detector, delivery and console',
  )
}

/** The operator has named the OpenID provider, so it may be in a private network. */
function signInsOf(
  { access, env }: ConsoleConfig,
  logger: StartContext['logger'],
): { readonly signIns: SignIns | null } & AsyncDisposable {
  const settings = access.kind === 'tokens' ? (access.openId ?? null) : null
  if (settings === null) return { signIns: null, [Symbol.asyncDispose]: () => Promise.resolve() }
  const sender = createUndiciSender({ connections: 2, proxy: proxySettings(env) })
  const signIns = new SignIns({ settings, sender, logger })
  return { signIns, [Symbol.asyncDispose]: () => sender[Symbol.asyncDispose]() }
}

/** The proxy of requests of this process, and whether they may go to private networks. */
function reachOf(env: ConsoleConfig['env']) {
  return { proxy: proxySettings(env), neverPrivate: destinationPrivateNetworks(env) === 'never' }
}
