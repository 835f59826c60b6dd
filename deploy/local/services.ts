import { startMariadb, startPostgres } from './databases.ts'
import { dockerAnswers, startInDocker } from './docker.ts'
import { startKafka } from './kafka.ts'
import { startRedis } from './redis.ts'
import { startRegistry } from './registry.ts'
import type { LocalService, ServiceName } from './service.ts'
import { Workspace } from './workspace.ts'

export type { LocalService, ServiceName } from './service.ts'

export const SERVICE_NAMES = ['kafka', 'registry', 'redis', 'postgres', 'mariadb'] as const

export const isServiceName = (text: string): text is ServiceName => SERVICE_NAMES.some(name => name === text)

/** The variables that name a service to Sluice and to its tests. */
const VARIABLES: Readonly<Record<ServiceName, readonly string[]>> = {
  kafka: ['SLUICE_KAFKA_BROKERS', 'SLUICE_TEST_KAFKA_BROKERS'],
  registry: ['SLUICE_SCHEMA_REGISTRY_URL', 'SLUICE_TEST_REGISTRY_URL'],
  redis: ['SLUICE_REDIS_URL', 'SLUICE_TEST_REDIS_URL'],
  postgres: ['SLUICE_TEST_POSTGRES_URL'],
  mariadb: ['SLUICE_TEST_MARIADB_URL'],
}

export interface StartOptions {
  /**
   * native: processes of this machine. docker: containers. auto (default): containers if an engine answers,
   * else native.
   */
  readonly engine?: 'native' | 'docker' | 'auto'
  /**
   * Keeps the registry's schemas in Kafka, which is started too, so that they survive a restart of the
   * registry.
   */
  readonly durableRegistry?: boolean
  /** A Redis, run natively, that does not log writes to disk, and so forgets them at a restart. */
  readonly forgetfulRedis?: boolean
  /** A Kafka, run natively, with the default settings for records and rebalances. */
  readonly stockKafka?: boolean
  /** A Kafka for measurements of throughput. A stock Kafka always is one. */
  readonly sustainedKafka?: boolean
}

/**
 * Running services. They end with `stop`, with the process that started them, or when this is disposed. A
 * service is looked up by its name: `services.get('kafka').restart()`.
 */
export class LocalServices implements AsyncDisposable {
  readonly #workspace: Workspace
  readonly #running: ReadonlyMap<ServiceName, LocalService>

  constructor(workspace: Workspace, running: ReadonlyMap<ServiceName, LocalService>) {
    this.#workspace = workspace
    this.#running = running
  }

  get(name: ServiceName): LocalService {
    const service = this.#running.get(name)
    if (service === undefined) throw new Error(`${name} was not asked for`)
    return service
  }

  /** Environment variables by which Sluice and its tests find the services. */
  get env(): Record<string, string> {
    const pairs = [...this.#running.values()].flatMap(service =>
      VARIABLES[service.name].map(variable => [variable, service.address] as const),
    )
    return Object.fromEntries(pairs)
  }

  /**
   * Ends all services at once and removes all data. With `keepLogs`, it copies the logs and resolves to their
   * folder.
   */
  async stop(options: { keepLogs?: boolean } = {}): Promise<string | null> {
    return this.#workspace.close({ keepLogs: options.keepLogs ?? false })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/**
 * Starts the named services in parallel, and resolves once all of them answer. If one fails, it stops the
 * others, keeps the logs, and says in the error where they are. It may be called several times. Each call
 * starts services of its own.
 */
export async function startServices(
  names: readonly ServiceName[],
  options: StartOptions = {},
): Promise<LocalServices> {
  const workspace = new Workspace()
  const start = await starter(workspace, options)
  const running = new Map<ServiceName, Promise<LocalService>>()
  const startOnce = (name: ServiceName): Promise<LocalService> => {
    const known = running.get(name)
    if (known !== undefined) return known
    const durable = name === 'registry' && options.durableRegistry === true
    const starting = durable
      ? startOnce('kafka').then(({ address }) => startRegistry(workspace, { kafkaBrokers: address }))
      : start(name)
    running.set(name, starting)
    return starting
  }
  for (const name of names) void startOnce(name)
  const results = await Promise.allSettled(running.values())
  const failures = results.flatMap(result => (result.status === 'rejected' ? [String(result.reason)] : []))
  if (failures.length > 0) {
    const logs = await workspace.close({ keepLogs: true })
    throw new Error([...failures, ...(logs === null ? [] : [`The logs are in ${logs}`])].join('\n'))
  }
  const services = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  return new LocalServices(workspace, new Map(services.map(service => [service.name, service])))
}

/** Chooses how to start a service on this machine. */
async function starter(
  workspace: Workspace,
  options: StartOptions,
): Promise<(name: ServiceName) => Promise<LocalService>> {
  const { engine = 'auto', forgetfulRedis: forgetful = false, stockKafka: stock = false } = options
  const sustained = stock || options.sustainedKafka === true
  const native = (name: ServiceName): Promise<LocalService> =>
    startNative(workspace, name, { redis: { forgetful }, kafka: { stock, sustained } })
  if (engine === 'native' || forgetful || stock || !(await dockerAnswers())) {
    if (engine === 'docker') throw new Error('no container engine answers')
    return native
  }
  if (engine === 'docker') return name => startInDocker(workspace, name)
  return name =>
    startInDocker(workspace, name).catch((error: unknown) => {
      process.stderr.write(`no container for ${name} (${String(error)}): running it natively\n`)
      return native(name)
    })
}

function startNative(
  workspace: Workspace,
  name: ServiceName,
  options: {
    readonly redis: { readonly forgetful: boolean }
    readonly kafka: { readonly stock: boolean; readonly sustained: boolean }
  },
): Promise<LocalService> {
  switch (name) {
    case 'kafka':
      return startKafka(workspace, options.kafka)
    case 'registry':
      return startRegistry(workspace)
    case 'redis':
      return startRedis(workspace, options.redis)
    case 'postgres':
      return startPostgres(workspace)
    case 'mariadb':
      return startMariadb(workspace)
    default:
      return name satisfies never
  }
}
