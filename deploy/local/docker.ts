import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { MARIADB_OPTIONS, POSTGRES_OPTIONS, writeCertificate } from './databases.ts'
import { freePorts } from './ports.ts'
import { differentSettings } from './kafka-settings.ts'
import { exchange } from './probes.ts'
import type { LocalService, ServiceName } from './service.ts'
import type { Workspace } from './workspace.ts'

const run = promisify(execFile)
const docker = (...args: string[]) => run('docker', args, { maxBuffer: 16 * 1024 * 1024 })

/** True if a container engine answers, not only if its client is installed. */
export function dockerAnswers(): Promise<boolean> {
  return run('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 5_000 }).then(
    () => true,
    () => false,
  )
}

interface Recipe {
  readonly image: string
  readonly innerPort: number
  readonly env: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  /** The folder inside of the container for the server's certificate. */
  readonly certificateFolder?: string
  readonly address: string
  readonly answers: () => Promise<boolean>
}

const answered = async (reply: Promise<Buffer>) => (await reply).length > 0

/** Kafka tells its clients its address, so inside and outside it must listen on the same port. */
const kafka = (port: number): Recipe => ({
  image: 'apache/kafka:4.1.0',
  innerPort: port,
  env: {
    KAFKA_NODE_ID: '1',
    KAFKA_PROCESS_ROLES: 'broker,controller',
    KAFKA_LISTENERS: `PLAINTEXT://0.0.0.0:${port},CONTROLLER://127.0.0.1:9093`,
    KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${port}`,
    KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
    KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    KAFKA_CONTROLLER_QUORUM_VOTERS: '1@127.0.0.1:9093',
    ...Object.fromEntries(
      Object.entries(differentSettings({ stock: false })).map(([setting, value]) => [
        `KAFKA_${setting.replaceAll('.', '_').toUpperCase()}`,
        value,
      ]),
    ),
  },
  address: `127.0.0.1:${port}`,
  answers: () => answered(exchange(port, Buffer.from('0000000a0012000000000001ffff', 'hex'))),
})

function recipe(name: ServiceName, port: number): Recipe {
  switch (name) {
    case 'kafka':
      return kafka(port)
    case 'registry': {
      const address = `http://127.0.0.1:${port}/apis/ccompat/v7`
      const answers = async () => (await fetch(`${address}/subjects`)).ok
      return { image: 'apicurio/apicurio-registry:3.0.9', innerPort: 8080, env: {}, address, answers }
    }
    case 'redis':
      return {
        image: 'redis:7.2',
        innerPort: 6379,
        env: {},
        args: ['--appendonly', 'yes'],
        address: `redis://127.0.0.1:${port}`,
        answers: () => answered(exchange(port, 'PING\r\n')),
      }
    case 'postgres':
      return {
        image: 'postgres:15',
        innerPort: 5432,
        env: { POSTGRES_HOST_AUTH_METHOD: 'trust' },
        args: POSTGRES_OPTIONS,
        address: `postgres://postgres@127.0.0.1:${port}/postgres`,
        // This is an SSLRequest, which the server answers with one byte.
        answers: () => answered(exchange(port, Buffer.from('0000000804d2162f', 'hex'))),
      }
    case 'mariadb':
      return {
        image: 'mariadb:10.11',
        innerPort: 3306,
        env: {
          MARIADB_ROOT_PASSWORD: 'sluice',
          MARIADB_DATABASE: 'sluice',
        },
        args: MARIADB_OPTIONS,
        certificateFolder: '/etc/mysql/sluice',
        address: `mysql://root:sluice@127.0.0.1:${port}/sluice`,
        answers: () => answered(exchange(port, null)),
      }
    default:
      return name satisfies never
  }
}

/** Starts a service as a container that is removed with the workspace. */
export async function startInDocker(workspace: Workspace, name: ServiceName): Promise<LocalService> {
  const [port = 0] = await freePorts(1)
  const { image, innerPort, env, args = [], certificateFolder, address, answers } = recipe(name, port)
  const container = `sluice-${name}-${randomUUID().slice(0, 8)}`
  workspace.registerContainer(container)
  const variables = Object.entries(env).flatMap(([key, value]) => ['-e', `${key}=${value}`])
  const mounts: string[] = []
  const certificate: string[] = []
  if (certificateFolder !== undefined) {
    const folder = workspace.dataFolder(`${name}-certificate`)
    certificate.push(...(await writeCertificate(folder, certificateFolder)))
    mounts.push('-v', `${folder}:${certificateFolder}:ro`)
  }
  await docker(
    'run',
    '-d',
    '--name',
    container,
    '-p',
    `127.0.0.1:${port}:${innerPort}`,
    ...mounts,
    ...variables,
    image,
    ...args,
    ...certificate,
  )
  const untilItAnswers = async () => {
    const deadline = performance.now() + 120_000
    while (!(await answers().catch(() => false))) {
      if (performance.now() > deadline) {
        const { stdout, stderr } = await docker('logs', '--tail', '20', container)
        throw new Error(
          `${name} (${image}) did not answer within 120 s; the end of its log:\n${stdout}${stderr}`,
        )
      }
      await delay(100)
    }
  }
  await untilItAnswers()
  const start = async () => {
    await docker('start', container)
    await untilItAnswers()
  }
  const stop = async () => void (await docker('stop', '-t', '10', container))
  return {
    name,
    address,
    logFile: `docker logs ${container}`,
    start,
    stop,
    kill: async () => void (await docker('kill', container)),
    restart: async () => {
      await stop()
      await start()
    },
    freeze: () => void docker('pause', container),
    thaw: () => void docker('unpause', container),
  }
}
