/**
 * The settings of docker-compose.yml for Kafka, the registry and Redis, without an engine: the real servers
 * are started with these settings and with passwords that deploy/passwords.mjs made, on this machine's ports.
 */
import { execFile } from 'node:child_process'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { installKafka, kafkaAnswers } from '../../deploy/local/kafka.ts'
import { freePorts } from '../../deploy/local/ports.ts'
import { exchange } from '../../deploy/local/probes.ts'
import { startRegistry } from '../../deploy/local/registry.ts'
import { runService, withNewPorts } from '../../deploy/local/service.ts'
import { Workspace } from '../../deploy/local/workspace.ts'
import { startDistributed } from './distributed.ts'
import { projectFolder } from './project-folder.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Its image has such a file; the wrapper of the image reads it. */
const LOGGING = `
Configuration:
  Properties: { Property: [{ name: kafka.logs.dir, value: . }] }
  Appenders: { Console: { name: STDOUT } }
  Loggers: { Root: { level: WARN, AppenderRef: [{ ref: STDOUT }] }, Logger: [] }
`
const composeFile = z.object({
  services: z.record(
    z.string(),
    z.object({
      command: z.array(z.string()).optional(),
      environment: z.record(z.string(), z.coerce.string()).optional(),
    }),
  ),
})
type Settings = { [name: string]: string }

/** The servers, from docker-compose.yml. */
async function startComposed(workspace: Workspace): Promise<{ settings: Settings; anonymous: Settings }> {
  const { services } = composeFile.parse(
    parse(await readFile(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }),
  )
  const [clients = 0, controllers = 0, redisPort = 0] = await freePorts(3)
  const passwords = workspace.dataFolder(`passwords-${clients}`)
  await run(process.execPath, [join(ROOT, 'deploy/passwords.mjs'), passwords])
  const data = workspace.dataFolder(`kafka-${clients}`)
  const here = (text: string): string =>
    text
      .replace(/\$\{\w+:-([^}]*)\}/, '$1')
      .replaceAll('/passwords', passwords)
      .replaceAll('/var/lib/kafka/data', join(data, 'log'))
      .replace(/(kafka|0\.0\.0\.0):9092/g, `127.0.0.1:${clients}`)
      .replaceAll('127.0.0.1:9093', `127.0.0.1:${controllers}`)
  const environment = (name: string): Settings =>
    Object.fromEntries(
      Object.entries(services[name]?.environment ?? {}).map(([key, value]) => [key, here(value)]),
    )
  for (const name of await readdir(passwords))
    await writeFile(
      join(passwords, name),
      here((await readFile(join(passwords, name), 'utf8')).replace('redis:6379', `127.0.0.1:${redisPort}`)),
    )
  await startKafka(workspace, { env: environment('kafka'), folder: data, port: clients })
  const registry = await startRegistry(workspace, { env: environment('registry') })
  const [redis = '', ...args] = (services['redis']?.command ?? []).map(here)
  const place = ['--port', String(redisPort), '--bind', '127.0.0.1', '--dir', workspace.dataFolder('redis')]
  await runService(workspace, {
    name: 'redis',
    address: `127.0.0.1:${redisPort}`,
    command: [redis, ...args, ...place],
    answers: async () => (await exchange(redisPort, 'PING\r\n')).toString().startsWith('-NOAUTH'),
    startTimeoutMs: 20_000,
  })
  const settings: Settings = { ...environment('renderer'), SLUICE_SCHEMA_REGISTRY_URL: registry.address }
  const { SLUICE_KAFKA_BROKERS: brokers = '' } = settings
  return {
    settings,
    anonymous: { SLUICE_KAFKA_BROKERS: brokers, SLUICE_SCHEMA_REGISTRY_URL: registry.address },
  }
}

/** As the image does it: a wrapper makes the configuration of the environment, and formats the folder. */
async function startKafka(
  workspace: Workspace,
  { env, folder, port }: { env: Settings; folder: string; port: number },
): Promise<void> {
  const { java, classPath } = await installKafka()
  const [defaults, mounted, made] = ['defaults', 'mounted', 'made'].map(name => join(folder, name))
  if (defaults === undefined || mounted === undefined || made === undefined) throw new Error('no folders')
  for (const path of [defaults, mounted, made]) await mkdir(path)
  for (const name of ['log4j2.yaml', 'tools-log4j2.yaml']) await writeFile(join(defaults, name), LOGGING)
  await writeFile(join(defaults, 'server.properties'), '')
  const folders = ['--default-configs-dir', defaults, '--mounted-configs-dir', mounted]
  await run(
    java,
    ['-cp', classPath, 'kafka.docker.KafkaDockerWrapper', 'setup', ...folders, '--final-configs-dir', made],
    { env: { ...env, CLUSTER_ID: '5L6g3nShT-eMCtK--X86sw' } },
  )
  const { KAFKA_OPTS: options = '' } = env
  await runService(workspace, {
    name: 'kafka',
    address: `127.0.0.1:${port}`,
    command: [
      ...[java, '-Xmx768m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', ...options.split(' ')],
      ...['-cp', classPath, 'kafka.Kafka', join(made, 'server.properties')],
    ],
    answers: () => kafkaAnswers(port),
    startTimeoutMs: 60_000,
  })
}

it('the servers of docker-compose.yml serve Sluice, and nobody without their passwords', async () => {
  const workspace = new Workspace()
  await using opening = new AsyncDisposableStack()
  opening.defer(async () => void (await workspace.close({ keepLogs: false })))
  const { settings, anonymous } = await withNewPorts(() => startComposed(workspace))
  const api = opening.use(await startScriptedApi())
  const secret = { SLUICE_SECRET_ALGOLIA_KEY: 'a-key', SLUICE_SECRET_ALGOLIA_KEY_FOR: '127.0.0.1' }
  const services = opening.use(await startDistributed({ services: settings, env: secret }))
  const project = opening.use(
    await projectFolder({
      from: 'docs/examples/algolia',
      env: { ...services.env, ALGOLIA_URL: api.url },
    }),
  )
  const yaml = await project.read('algolia.yaml')
  // As the file ships, private networks are refused.
  const refused = await project.run('algolia-synonyms')
  expect(JSON.stringify(refused.view)).toContain('private network')
  expect(api.requests).toHaveLength(0)
  await project.write('algolia.yaml', yaml.replace(/^baseUrl: .*$/m, '$&\nallowPrivateNetwork: true'))
  expect(await project.run('algolia-synonyms')).toMatchObject({ exitCode: 0, view: { status: 'success' } })
  expect(api.requests).toHaveLength(1)

  const nobody = opening.use(
    await projectFolder({
      from: 'docs/examples/algolia',
      env: { ...anonymous, SLUICE_PREFIX: services.prefix, SLUICE_STARTUP_TIMEOUT: '2s' },
    }),
  )
  expect(await nobody.sluice('syncs')).toMatchObject({ exitCode: 5 })
}, 240_000)
