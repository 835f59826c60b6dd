/** `sluice up`: the services of a folder and its API, in this process, until it is told to end. */
import { withBrackets } from '@sluice/contracts/specs/http-texts'
import { readFileSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { MadeTokens } from '@sluice/console/access/made-tokens'
import { readAccess } from '@sluice/console/access/read-access'
import { SignIns } from '@sluice/console/access/sign-ins'
import { createApi } from '@sluice/console/api/create-api'
import { WebPages } from '@sluice/console/api/web-pages'
import { AskedRuns } from '@sluice/console/asked-runs'
import { listenLazily } from '@sluice/console/socket/listen-lazily'
import { PendingLogins, type BegunLogin } from '@sluice/console/login/pending-logins'
import type { DestinationSpec } from '@sluice/contracts/resources'
import { duration } from '@sluice/contracts/specs/plain-values'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { recordsOf, storedCatalog, type Catalog } from '@sluice/control/catalog'
import type { Check } from '@sluice/control/health/check'
import { showDestinationHealth } from '@sluice/control/destinations/destination-gauge'
import type { HealthSource } from '@sluice/control/health/read-health'
import type { IndexedHistory, Pipeline } from '@sluice/control/pipeline'
import { writeResources } from '@sluice/resources/change-resources'
import { leftText } from '@sluice/control/resources/resource-plan'
import { ProjectControl, type FolderHost } from '@sluice/control/project-control'
import { documentsApart } from '@sluice/control/resources/apart/documents-apart'
import { endOf } from '@sluice/flow/ends'
import type { HttpSender } from '@sluice/http-sender/port'
import { loadProject } from '@sluice/project/load-project'
import { namesOf } from '@sluice/project/project'
import { envPort, parseEnvironment, type Environment } from '@sluice/runtime/environment'
import { startHealthServer } from '@sluice/runtime/health-server'
import type { Logger } from '@sluice/runtime/logger'
import { writeNewFile } from '@sluice/runtime/private-files'
import { createMetrics, type Metrics } from '@sluice/runtime/metrics'
import type { Vault } from '@sluice/secrets/vault/vault'
import { z } from 'zod'
import { sluiceVersion } from '../commands/version.ts'
import { noteProject, ownedIn } from './folder-owner.ts'

const PORT = 4747
const SHUTDOWN_MS = 25_000
/** The file in which `sluice up` notes its process and its address, for a second one. */
const URL_FILE = 'up-url'

const variables = z.object({
  SLUICE_HOST: z.string().default('127.0.0.1'),
  SLUICE_PORT: envPort.default(PORT),
  SLUICE_METRICS_TOKEN: z.string().min(16, 'expected at least 16 characters').optional(),
  SLUICE_SHUTDOWN_TIMEOUT: duration.default(SHUTDOWN_MS),
})

export interface ServeFolderOptions {
  readonly dir: string
  readonly dataDir: string
  readonly env: Environment
  readonly logger: Logger
  /** Once it aborts, requests on their way are finished, and then `ended` resolves. */
  readonly signal: AbortSignal
  readonly tell: (notice: string) => void
  /** Takes the lock. The process counts in these metrics. */
  readonly openPipeline: (metrics: Metrics) => Promise<Pipeline>
  /** Opens the index of the history, which follows the topics from then on. */
  readonly openIndex: (pipeline: Pipeline) => Promise<(IndexedHistory & AsyncDisposable) | null>
  readonly projectHost: FolderHost
  /** Begins a login to a destination. */
  readonly logIn: (login: {
    readonly destination: DestinationSpec
    readonly redirectUri: string
    readonly vault: Vault
  }) => Promise<BegunLogin>
  /** Opens a sender to a server that the operator has named. */
  readonly openSender: () => Promise<HttpSender>
  /** The checks of `sluice doctor` for the folder. */
  readonly checks: () => Promise<readonly Check[]>
}

/** A folder that is served. Disposing it closes what is still open. */
export interface Up extends AsyncDisposable {
  readonly url: string
  /** The names of the syncs. */
  readonly syncs: readonly string[]
  /** The names of those that are streams and not paused. */
  readonly streams: readonly string[]
  /** Rejects if a service fails for good. */
  readonly ended: Promise<void>
}

/**
 * Resolves once it serves. Rejects with `config` if the environment or the project is wrong, and with
 * `conflict` if another process has the folder open.
 */
export async function serveFolder(options: ServeFolderOptions): Promise<Up> {
  const { dir, dataDir, env, logger, signal, tell, openPipeline, openIndex, projectHost } = options
  const read = parseEnvironment(variables, env, { secrets: ['SLUICE_METRICS_TOKEN'] })
  const { SLUICE_HOST: host, SLUICE_PORT: port, SLUICE_METRICS_TOKEN: metricsToken } = read
  const access = readAccess(env, host)
  const project = ownedIn(dataDir, await loadProject(dir, { env, signal }))
  const { owner } = project
  await using opening = new AsyncDisposableStack()
  const metrics = createMetrics()
  const pipeline = opening.use(
    await openPipeline(metrics).catch((error: unknown) => {
      throw isSluiceError(error, 'conflict') ? namingServer(error, dataDir) : error
    }),
  )
  const publishing = { owner, signal, by: 'sluice up', isWhole: true }
  const { others } = await writeResources(pipeline, recordsOf(project), publishing)
  noteProject(dataDir, owner)
  if (others.length > 0) tell(leftText(others, owner))
  const catalog = storedCatalog(pipeline)
  const indexed = opening.use(await openIndex(pipeline))
  const served = { ...servedPipeline(pipeline), indexed }
  const control = new ProjectControl(catalog, {
    ...projectHost,
    health: healthOf(options),
    hasHistory: true,
    documents: documentsApart(),
    open: () => Promise.resolve(served),
  })
  showDestinationHealth(metrics, control)
  const asked = new AskedRuns({ logger, cancel: new AbortController().signal })
  signal.addEventListener('abort', () => asked.close(), { once: true })
  const serving = { openControl: () => Promise.resolve(control), asked, logger }
  const load = (): ReturnType<typeof createApi> => createApi({ ...serving, access: { kind: 'socket' } })
  opening.use(await listenLazily({ dataDir, load, logger }))
  let listening = port
  const ownUrl = (): string => `http://${ownName(host)}:${listening}`
  const logins = opening.use(loginsOf(options, { catalog, vault: pipeline.vault }))
  const pages = await WebPages.read()
  const openId = access.kind === 'tokens' ? (access.openId ?? null) : null
  const signIns =
    openId === null
      ? null
      : new SignIns({ settings: openId, sender: opening.use(await options.openSender()), logger })
  const madeTokens = pipeline.vault === null ? null : new MadeTokens(pipeline.vault)
  const api = opening.use(
    await createApi({ ...serving, metrics, access, madeTokens, signIns, ownUrl, logins, pages }),
  )
  const ready = { running: () => ({ ok: !signal.aborted }) }
  const health = { host, port, metrics, metricsToken, ready }
  const server = opening.use(await startHealthServer({ ...health, elsewhere: () => api.listener }))
  listening = server.port
  const url = `http://${withBrackets(host)}:${server.port}`
  const note = join(dataDir, URL_FILE)
  opening.defer(() => rmSync(note, { force: true }))
  rmSync(note, { force: true })
  writeNewFile(note, `${process.pid} ${url}\n`)
  const opened = opening.move()
  return {
    url,
    syncs: namesOf(project, 'sync'),
    streams: [...project.resources.values()].flatMap(spec =>
      spec.kind === 'sync' && spec.schedule === 'continuous' && spec.paused !== true ? [spec.name] : [],
    ),
    ended: untilDrained(pipeline, signal, read.SLUICE_SHUTDOWN_TIMEOUT),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Names the address of the `sluice up` that has the folder open, if it is one. */
function namingServer(conflict: SluiceError, dataDir: string): SluiceError {
  try {
    const [pid = '', url = ''] = readFileSync(join(dataDir, URL_FILE), 'utf8').trim().split(' ')
    // This throws if that process is gone. A killed process leaves the file behind.
    process.kill(Number(pid), 0)
    const message = `\`sluice up\` serves this folder already, at ${url} (process ${pid}): use that one, or stop it first.`
    return new SluiceError('conflict', message, { cause: conflict })
  } catch {
    return conflict
  }
}

function loginsOf(
  { logIn }: ServeFolderOptions,
  { catalog, vault }: { readonly catalog: Catalog; readonly vault: Vault | null },
): PendingLogins {
  return new PendingLogins({
    catalog,
    begin: async (destination, redirectUri) => {
      if (vault === null) throw new SluiceError('config', 'This process keeps no logins.')
      return await logIn({ destination, redirectUri, vault })
    },
  })
}

/**
 * The health of this process. It leaves out the check of the folder's lock, since this process has the lock.
 */
function healthOf({ checks }: ServeFolderOptions): HealthSource {
  return {
    ...{ profile: 'embedded', version: sluiceVersion(), startedAt: Date.now(), host: hostname() },
    checks: async () => (await checks()).filter(({ check }) => check !== 'lock'),
    members: null,
  }
}

/** Returns the host under which this machine reaches an address that it listens on. */
function ownName(host: string): string {
  return host === '0.0.0.0' || host === '::' ? '127.0.0.1' : withBrackets(host)
}

/** The pipeline as control sees it: the services run already, and go on when control is done. */
function servedPipeline(pipeline: Pipeline): Pipeline {
  return {
    ...pipeline,
    servicesElsewhere: true,
    start: (_only, { drain }) => endOf(drain),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** Runs the services until the signal aborts. Work that has not finished `timeoutMs` later is aborted. */
async function untilDrained(pipeline: Pipeline, signal: AbortSignal, timeoutMs: number): Promise<void> {
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const startDeadline = (): void => {
    timer = setTimeout(() => late.abort(new Error('the time to shut down is over')), timeoutMs)
  }
  signal.addEventListener('abort', startDeadline, { once: true })
  try {
    await pipeline.start(null, { drain: signal, abort: late.signal })
  } catch (error) {
    if (!late.signal.aborted) throw error
  } finally {
    clearTimeout(timer)
  }
}
