import { join } from 'node:path'
import { cached, ensureJava, mavenArchive } from './install.ts'
import { freePorts } from './ports.ts'
import { runService, withNewPorts, type LocalService } from './service.ts'
import type { Workspace } from './workspace.ts'

const VERSION = '3.0.9'

/**
 * Starts Apicurio's registry. Its address is the base URL of its Confluent-compatible API. With
 * `kafkaBrokers` it keeps the schemas in a topic of that Kafka. Otherwise it keeps them in memory, and a
 * restart loses them. `env` are further settings.
 */
export async function startRegistry(
  workspace: Workspace,
  options: { kafkaBrokers?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<LocalService> {
  const java = await ensureJava()
  const artifact = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`
  const installed = await cached(`apicurio-registry-${VERSION}`, folder => mavenArchive(folder, artifact))
  return withNewPorts(async () => {
    const [port = 0] = await freePorts(1)
    const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
    const env: Record<string, string> =
      options.kafkaBrokers === undefined
        ? {}
        : { APICURIO_STORAGE_KIND: 'kafkasql', APICURIO_KAFKASQL_BOOTSTRAP_SERVERS: options.kafkaBrokers }
    return runService(workspace, {
      name: 'registry',
      address: url,
      command: [
        java,
        '-Xmx512m',
        '-XX:TieredStopAtLevel=1',
        '-Dquarkus.http.host=127.0.0.1',
        `-Dquarkus.http.port=${port}`,
        '-jar',
        join(installed, `apicurio-registry-app-${VERSION}-runner.jar`),
      ],
      options: { env: { ...env, ...options.env } },
      answers: async () => {
        const answer = await fetch(`${url}/subjects`, { signal: AbortSignal.timeout(2_000) })
        await answer.arrayBuffer()
        return answer.ok
      },
      startTimeoutMs: 120_000,
    })
  })
}
