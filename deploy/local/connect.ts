import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { cached, ensureJava, mavenDependencies } from './install.ts'
import { BRIEF, KAFKA_VERSION, LOG_BINDING, LOGGING } from './kafka.ts'
import { freePorts } from './ports.ts'
import { runService, withNewPorts, type LocalService } from './service.ts'
import type { Workspace } from './workspace.ts'

const DEBEZIUM_VERSION = '3.5.0.Final'
const DEPENDENCIES = [
  `org.apache.kafka:connect-runtime:${KAFKA_VERSION}`,
  `io.debezium:debezium-connector-postgres:${DEBEZIUM_VERSION}`,
  `io.debezium:debezium-connector-mariadb:${DEBEZIUM_VERSION}`,
  // Confluent's converters are not in Maven Central. This one writes the same bytes.
  'io.apicurio:apicurio-registry-utils-converter:2.6.13.Final',
  LOG_BINDING,
]

/** A connector has no tasks until it has begun. */
const status = z.object({ tasks: z.array(z.object({ state: z.string() })).default([]) })

/** One process of Kafka Connect with Debezium's connectors. It keeps its own positions in a file. */
export interface ConnectService extends LocalService {
  /** Makes a connector, and resolves once it runs. Rejects with what the connector says if it fails. */
  connect(name: string, config: Readonly<Record<string, string>>): Promise<void>
  /** Ends a connector. Its positions stay. */
  disconnect(name: string): Promise<void>
}

/** Starts Kafka Connect on a Kafka. Its address is the URL of its API. */
export async function startConnect(workspace: Workspace, brokers: string): Promise<ConnectService> {
  const java = await ensureJava()
  const installed = await cached(`connect-${KAFKA_VERSION}-debezium-${DEBEZIUM_VERSION}`, folder =>
    mavenDependencies(folder, DEPENDENCIES),
  )
  return withNewPorts(async () => {
    const [port = 0] = await freePorts(1)
    const folder = workspace.dataFolder(`connect-${port}`)
    const file = join(folder, 'worker.properties')
    const logging = join(folder, 'log4j2.properties')
    const url = `http://127.0.0.1:${port}`
    await writeFile(file, settings(brokers, url, folder))
    await writeFile(logging, LOGGING)
    const service = await runService(workspace, {
      name: 'kafka',
      process: 'connect',
      address: url,
      command: [
        java,
        ...['-Xms128m', '-Xmx768m', ...BRIEF],
        `-Dlog4j2.configurationFile=${logging}`,
        ...['-cp', join(installed, 'libs', '*')],
        ...['org.apache.kafka.connect.cli.ConnectStandalone', file],
      ],
      answers: async () => (await fetch(`${url}/connectors`)).ok,
      startTimeoutMs: 120_000,
    })
    return Object.assign(service, {
      connect: (name: string, config: Readonly<Record<string, string>>) => connect(url, name, config),
      disconnect: async (name: string) => {
        await asked(`${url}/connectors/${name}`, { method: 'DELETE' })
      },
    })
  })
}

/** Rows of 1 MB fit into its requests. It polls often, so that a test waits for nothing but its database. */
function settings(brokers: string, url: string, folder: string): string {
  return `
bootstrap.servers=${brokers}
listeners=${url}
offset.storage.file.filename=${join(folder, 'offsets')}
offset.flush.interval.ms=500
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
connector.client.config.override.policy=All
producer.max.request.size=8000000
`
}

async function connect(url: string, name: string, config: Readonly<Record<string, string>>): Promise<void> {
  await asked(`${url}/connectors`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, config }),
  })
  for (;;) {
    const text = await asked(`${url}/connectors/${name}/status`)
    const { tasks } = status.parse(JSON.parse(text))
    if (tasks.some(({ state }) => state === 'FAILED'))
      throw new Error(`the connector ${name} failed: ${text}`)
    if (tasks.length > 0 && tasks.every(({ state }) => state === 'RUNNING')) return
  }
}

async function asked(url: string, request: RequestInit = {}): Promise<string> {
  const answer = await fetch(url, request)
  const text = await answer.text()
  // A connector has no status until it has begun.
  if (!answer.ok && answer.status !== 404) throw new Error(`Kafka Connect answered ${answer.status}: ${text}`)
  return text
}
