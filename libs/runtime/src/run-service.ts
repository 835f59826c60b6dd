/**
 * The life of a service's process. States: configuring → starting (it listens for health checks and waits for
 * what it needs) → running → draining (SIGTERM, SIGINT) → ended; each may end in a failure, which is logged
 * once and becomes the exit code. A process that fails ends and never restarts itself: its supervisor, such
 * as systemd or Kubernetes, starts it again.
 */
import { isSluiceError, messageOf } from '@sluice/contracts/errors'
import type { Ends } from '@sluice/flow/ends'
import type { Environment } from './environment.ts'
import { startHealthServer, type HealthChecks, type HttpListener } from './health-server.ts'
import { createLogger, type Logger } from './logger.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { ownSecrets } from './own-secrets.ts'
import { makeFilesPrivate } from './private-files.ts'
import type { ServiceConfig } from './service-config.ts'
import { KnownValues } from '@sluice/secrets/known-values'
import { createShutdown } from './shutdown.ts'

const EXIT_FAILED = 1
const EXIT_CONFIG = 2
const EXIT_UNREACHABLE = 5

export interface StartContext {
  readonly logger: Logger
  readonly metrics: Metrics
  /** No line of the log shows this value from now on. */
  readonly mask: (value: string) => void
  /** Aborts if a signal to end arrives while the process starts. */
  readonly signal: AbortSignal
}

/** A service whose connections are open and that takes no work yet. Disposing closes them. */
export interface StartedService extends AsyncDisposable {
  /** The checks that must hold for `/readyz`. */
  readonly ready: HealthChecks
  /** Answers HTTP requests other than those for health and metrics. */
  readonly listener?: HttpListener
  /** Works until `drain` aborts, and then finishes the work under way. `abort` ends it at once. */
  run(ends: Ends): Promise<void>
}

export interface ServiceSpec<Config extends ServiceConfig> {
  readonly name: string
  /** Throws `config`. */
  readonly config: (env: Environment) => Config
  /** Waits for what the service needs. Rejects with `unreachable` when it has waited long enough. */
  readonly start: (config: Config, context: StartContext) => Promise<StartedService>
}

/** Runs the service of this process until it ends; resolves with the exit code. Never rejects. */
export async function runService<Config extends ServiceConfig>(spec: ServiceSpec<Config>): Promise<number> {
  const { name } = spec
  const known = new KnownValues(ownSecrets(process.env))
  const secrets = known.all
  makeFilesPrivate()
  let config: Config
  try {
    config = spec.config(process.env)
  } catch (error) {
    return failed(createLogger({ name, secrets }), error, 'the configuration is wrong')
  }
  const logger = createLogger({ name, level: config.logLevel, secrets })
  // A rejection that is not awaited is a bug. It is logged like every other failure, and ends the process.
  process.on('uncaughtException', error => process.exit(failed(logger, error, 'a bug ends the process')))
  using shutdown = createShutdown({
    timeoutMs: config.shutdownTimeoutMs,
    onPhase: (phase, why) => logger[phase === 'draining' ? 'info' : 'warn']({ why }, phase),
  })
  try {
    return await live(spec, config, { logger, shutdown, mask: value => known.add(value) })
  } catch (error) {
    if (shutdown.drain.aborted && !isSluiceError(error)) return 0
    return failed(logger, error, 'the service cannot start')
  }
}

async function live<Config extends ServiceConfig>(
  spec: ServiceSpec<Config>,
  config: Config,
  context: Pick<StartContext, 'logger' | 'mask'> & { readonly shutdown: ReturnType<typeof createShutdown> },
): Promise<number> {
  const { logger, shutdown, mask } = context
  const metrics = createMetrics()
  let service: StartedService | null = null
  const ready: HealthChecks = {
    started: () => (service === null ? { ok: false, detail: 'waiting for what it needs' } : { ok: true }),
    running: () => (shutdown.drain.aborted ? { ok: false, detail: 'draining' } : { ok: true }),
    work: () => unmet(service?.ready ?? {}),
  }
  const { host, port, metricsToken } = config
  const elsewhere = (): HttpListener | undefined => service?.listener
  await using health = await startHealthServer({ host, port, metrics, metricsToken, ready, elsewhere })
  logger.info({ host, port: health.port }, 'starting')
  await using started = await spec.start(config, { logger, metrics, mask, signal: shutdown.drain })
  service = started
  logger.info('started')
  try {
    await started.run(shutdown)
  } catch (error) {
    if (!shutdown.abort.aborted) return failed(logger, error, 'the service has failed')
  }
  if (shutdown.abort.aborted) logger.warn('ended; work under way was given up')
  else logger.info('ended; all work under way is finished')
  return 0
}

/** Returns the first check that fails; `ok` if none does. */
function unmet(checks: HealthChecks): { readonly ok: boolean; readonly detail?: string } {
  for (const [name, check] of Object.entries(checks)) {
    const { ok, detail } = check()
    if (!ok) return { ok, detail: detail ?? name }
  }
  return { ok: true }
}

function failed(logger: Logger, error: unknown, what: string): number {
  const message = messageOf(error)
  // For a mistake of the operator, the message is enough. A stack would help nobody.
  if (isSluiceError(error, 'config')) {
    logger.fatal({ code: error.code }, `${what}: ${message}`)
    return EXIT_CONFIG
  }
  logger.fatal({ err: error }, `${what}: ${message}`)
  return isSluiceError(error, 'unreachable') ? EXIT_UNREACHABLE : EXIT_FAILED
}
