import { setTimeout as delay } from 'node:timers/promises'
import type { ServiceProcess, SpawnOptions, Workspace } from './workspace.ts'

export type ServiceName = 'kafka' | 'registry' | 'redis' | 'postgres' | 'mariadb'

/**
 * A running service. Tests call `stop`, `kill` and `restart` to see what happens then. Address and data stay
 * the same.
 */
export interface LocalService {
  readonly name: ServiceName
  /** The address for a client: `host:port` for Kafka, a URL for the others. */
  readonly address: string
  readonly logFile: string
  /** Starts it again after `stop` or `kill`. Resolves once it answers. */
  start(): Promise<void>
  /** Ends it in an orderly way. */
  stop(): Promise<void>
  /** Ends it as kill -9 does. */
  kill(): Promise<void>
  restart(): Promise<void>
  /** Freezes it (SIGSTOP): connections stay open and nothing answers. */
  freeze(): void
  thaw(): void
}

export interface ServiceDefinition {
  readonly name: ServiceName
  /** Its name among several processes of the service, for its log; default the service's. */
  readonly process?: string
  readonly address: string
  /** The command to run; called for each start. */
  readonly command: readonly string[]
  readonly options?: SpawnOptions
  /** Rejects, or resolves to false, as long as the service does not answer. */
  readonly answers: () => Promise<boolean>
  readonly startTimeoutMs: number
}

/**
 * Runs the service and waits until it answers. Rejects with the last lines of the log if it ends or does not
 * answer.
 */
export async function runService(workspace: Workspace, definition: ServiceDefinition): Promise<LocalService> {
  const { name, process = name } = definition
  let current: ServiceProcess | null = null
  const start = async () => {
    if (current?.running === true) return
    const started = workspace.spawn(process, definition.command, definition.options)
    current = started
    await untilItAnswers(workspace, definition, started)
  }
  const stop = async () => current?.stop(10_000)
  await start()
  return {
    name,
    address: definition.address,
    logFile: workspace.logFile(process),
    start,
    stop,
    kill: async () => current?.stop(0),
    restart: async () => {
      await stop()
      await start()
    },
    freeze: () => current?.signal('SIGSTOP'),
    thaw: () => current?.signal('SIGCONT'),
  }
}

async function untilItAnswers(
  workspace: Workspace,
  definition: ServiceDefinition,
  started: ServiceProcess,
): Promise<void> {
  const { name, process = name, startTimeoutMs } = definition
  const deadline = performance.now() + startTimeoutMs
  let end: string | null = null
  void started.ended.then(how => (end = how))
  while (end === null && performance.now() < deadline) {
    if (await definition.answers().catch(() => false)) return
    await delay(50)
  }
  await started.stop(0)
  const why = end === null ? `did not answer within ${startTimeoutMs} ms` : `ended (${String(end)})`
  throw new Error(`${name} ${why}; the end of its log:\n${await workspace.logTail(process)}`)
}

/** Another process may take a port before its use, so a failed start is tried again with new ports. */
export async function withNewPorts<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 2; ; left -= 1) {
    try {
      return await attempt()
    } catch (error) {
      const taken = /already in use|EADDRINUSE|could not bind/i.test(String(error))
      if (!taken || left === 0) throw error
    }
  }
}
