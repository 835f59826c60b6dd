/**
 * Real services for the suites that need them (vitest's globalSetup). Each comes from its environment
 * variable, else from a container engine, else from processes of this machine. Only what the test files of
 * this run ask for is started, in parallel, and once for all projects. A test asks by injecting the address,
 * in its own file or in one that it imports relatively:
 *
 *     const brokers = inject('kafkaBrokers') // null: not available; skip, the reason has been printed
 *     describe.skipIf(brokers === null)(…)
 *
 * With CI=true, a service that is not available is a failure instead.
 */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startServices, type LocalServices, type ServiceName } from '../deploy/local/services.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** host:port,… */
    kafkaBrokers: string | null
    /** Confluent-compatible base URL */
    registryUrl: string | null
    redisUrl: string | null
    postgresUrl: string | null
    mariadbUrl: string | null
  }
}

const SERVICES = {
  kafkaBrokers: { name: 'kafka', variable: 'SLUICE_TEST_KAFKA_BROKERS' },
  registryUrl: { name: 'registry', variable: 'SLUICE_TEST_REGISTRY_URL' },
  redisUrl: { name: 'redis', variable: 'SLUICE_TEST_REDIS_URL' },
  postgresUrl: { name: 'postgres', variable: 'SLUICE_TEST_POSTGRES_URL' },
  mariadbUrl: { name: 'mariadb', variable: 'SLUICE_TEST_MARIADB_URL' },
} as const satisfies Record<string, { name: ServiceName; variable: string }>

type Key = keyof typeof SERVICES
const isKey = (text: string): text is Key => text in SERVICES

interface Running {
  readonly address: Promise<string | null>
  readonly services: Promise<LocalServices | null>
}

/** The state that the projects of one vitest process share, although each loads this module again. */
interface Shared {
  readonly running: Map<Key, Running>
  users: number
}

const SHARED = Symbol.for('sluice.test-services')
const holder: typeof globalThis & { [SHARED]?: Shared } = globalThis
const shared = (holder[SHARED] ??= { running: new Map(), users: 0 })

/** @public vitest calls it, as its `globalSetup`. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const wanted = await keysUsedBy(project.vitest.state.getPaths())
  for (const key of wanted) if (!shared.running.has(key)) shared.running.set(key, run(key))
  shared.users += 1
  try {
    for (const key of Object.keys(SERVICES).filter(isKey))
      project.provide(key, (await shared.running.get(key)?.address) ?? null)
  } catch (error) {
    await release()
    throw error
  }
  return release
}

function run(key: Key): Running {
  const { name, variable } = SERVICES[key]
  const given = process.env[variable]
  if (given !== undefined && given !== '')
    return { address: Promise.resolve(given), services: Promise.resolve(null) }
  const starting = startServices([name])
  const address = starting.then(
    services => services.get(name).address,
    (error: unknown) => {
      const why = error instanceof Error ? error.message : String(error)
      if (process.env['CI'] === 'true') throw new Error(`${name} cannot be had: ${why}`)
      process.stderr.write(`skipping the tests that need ${name} (or set ${variable}): ${why}\n`)
      return null
    },
  )
  // Awaited by every project that asks; until then its rejection must not count as unhandled.
  address.catch(() => {})
  return { address, services: starting.catch(() => null) }
}

async function release(): Promise<void> {
  shared.users -= 1
  if (shared.users > 0) return
  const running = [...shared.running.values()]
  shared.running.clear()
  await Promise.all(running.map(async ({ services }) => (await services)?.stop()))
}

/** The keys injected in the files and in whatever they import relatively. */
async function keysUsedBy(files: readonly string[]): Promise<Set<Key>> {
  const seen = new Set(files)
  const keys = new Set<Key>()
  const waiting = [...files]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const text = await readFile(file, 'utf8').catch(() => '')
    for (const [, key = ''] of text.matchAll(/\binject\('(\w+)'\)/g)) if (isKey(key)) keys.add(key)
    for (const [, path = ''] of text.matchAll(/\bfrom '(\.{1,2}\/[^']+\.ts)'/g)) {
      const imported = resolve(dirname(file), path)
      if (seen.has(imported)) continue
      seen.add(imported)
      waiting.push(imported)
    }
  }
  return keys
}
