import { randomUUID } from 'node:crypto'
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cached, ensureJava, ensurePrograms, mavenDependencies } from './install.ts'
import { differentSettings } from './kafka-settings.ts'
import { freePorts } from './ports.ts'
import { exchange } from './probes.ts'
import { runService, withNewPorts, type LocalService } from './service.ts'
import type { Workspace } from './workspace.ts'

const run = promisify(execFile)

export const KAFKA_VERSION = '4.3.1'
/** Kafka logs through SLF4J 1.7; without a binding its log would be empty. */
export const LOG_BINDING = 'org.apache.logging.log4j:log4j-slf4j-impl:2.25.4'
const DEPENDENCIES = [`org.apache.kafka:kafka_2.13:${KAFKA_VERSION}`, LOG_BINDING]

export const LOGGING = `
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.server.name = kafka.server
logger.server.level = info
`

/** For a JVM that runs for minutes: it compiles its code quickly, and collects garbage on one thread. */
export const BRIEF = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']

/** The settings of one KRaft node that is broker and controller. */
function settings(
  ports: { plain: number; controller: number; secure: number | null },
  folder: string,
  options: KafkaOptions,
): string {
  const own = { ...differentSettings({ stock: options.stock === true }), ...options.settings }
  return `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${ports.controller}
controller.listener.names=CONTROLLER
listeners=CONTROLLER://127.0.0.1:${ports.controller},${clientListeners(ports)}
advertised.listeners=${clientListeners(ports)}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
inter.broker.listener.name=PLAINTEXT
log.dirs=${join(folder, 'log')}
${Object.entries(own)
  .map(([setting, value]) => `${setting}=${value}`)
  .join('\n')}
`
}

const clientListeners = ({ plain, secure }: { plain: number; secure: number | null }) =>
  [`PLAINTEXT://127.0.0.1:${plain}`, ...(secure === null ? [] : [`SECURE://127.0.0.1:${secure}`])].join(',')

/** ApiVersions, version 0, no client id: a broker answers requests only once it is ready for all of them. */
const API_VERSIONS = Buffer.from('0000000a0012000000000001ffff', 'hex')

/** A second listener, with TLS and a password, as a client sees it. */
export interface SecureListener {
  /** host:port */
  readonly address: string
  /** The certificate to trust, in PEM. */
  readonly ca: string
  readonly username: string
  readonly password: string
  /** The passwords of further users, who log in with SCRAM-SHA-512. */
  readonly scram: { readonly [user: string]: string }
}

export interface KafkaOptions {
  /**
   * Also listen with TLS and SASL (PLAIN and SCRAM-SHA-512). Clients have to authenticate again every 12 s.
   */
  readonly secure?: boolean
  /** With `secure`: further users, who log in with SCRAM-SHA-512. */
  readonly scramUsers?: readonly string[]
  /** Make only the settings without which a single broker does not work. */
  readonly stock?: boolean
  /**
   * For measurements: a JVM that compiles its code as well as it can. By default the JVM compiles less, which
   * saves some 40 % of the CPU time in the minutes of a test run.
   */
  readonly sustained?: boolean
  /** Further settings of the broker. */
  readonly settings?: { readonly [setting: string]: string }
}

export interface KafkaService extends LocalService {
  readonly secure: SecureListener | null
}

/**
 * Installs Kafka, with the classes of its Docker image. Returns the class path, and a Java that runs the
 * classes.
 */
export async function installKafka(): Promise<{ java: string; classPath: string }> {
  const java = await ensureJava()
  const installed = await cached(`kafka-${KAFKA_VERSION}`, folder => mavenDependencies(folder, DEPENDENCIES))
  return { java, classPath: join(installed, 'libs', '*') }
}

/** Whether a Kafka answers there, and not another server that took the port in between. */
export async function kafkaAnswers(port: number): Promise<boolean> {
  const answer = await exchange(port, API_VERSIONS)
  return answer.length >= 8 && answer.readInt32BE(4) === API_VERSIONS.readInt32BE(8)
}

/** Starts a Kafka of one node. Its address is `host:port`. */
export async function startKafka(workspace: Workspace, options: KafkaOptions = {}): Promise<KafkaService> {
  const { java, classPath } = await installKafka()
  return withNewPorts(async () => {
    const [port = 0, controllerPort = 0, securePort = 0] = await freePorts(3)
    const folder = workspace.dataFolder(`kafka-${port}`)
    const file = join(folder, 'server.properties')
    const logging = join(folder, 'log4j2.properties')
    const secure =
      options.secure === true ? await secureListener(folder, securePort, options.scramUsers ?? []) : null
    const ports = { plain: port, controller: controllerPort, secure: secure === null ? null : securePort }
    await writeFile(file, settings(ports, folder, options) + (secure?.settings ?? ''))
    await writeFile(logging, LOGGING)
    const base = [`-Dlog4j2.configurationFile=${logging}`, '-cp', classPath]
    // The id may begin with a dash, so it is never an argument of its own.
    const clusterId = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url')
    const users = Object.entries(secure?.listener.scram ?? {}).flatMap(([name, password]) => [
      '--add-scram',
      `SCRAM-SHA-512=[name=${name},password=${password}]`,
    ])
    const format = ['format', `--cluster-id=${clusterId}`, '-c', file, ...users]
    await run(java, [...BRIEF, ...base, 'kafka.tools.StorageTool', ...format])
    const service = await runService(workspace, {
      name: 'kafka',
      address: `127.0.0.1:${port}`,
      command: [
        java,
        '-Xms256m',
        '-Xmx768m',
        ...(options.sustained === true ? ['-XX:+UseG1GC'] : BRIEF),
        ...base,
        'kafka.Kafka',
        file,
      ],
      answers: () => kafkaAnswers(port),
      startTimeoutMs: 60_000,
    })
    return Object.assign(service, { secure: secure?.listener ?? null })
  })
}

/** Makes a key and a certificate for 127.0.0.1, and the settings of a listener that shows them. */
async function secureListener(
  folder: string,
  port: number,
  scramUsers: readonly string[],
): Promise<{ listener: SecureListener; settings: string }> {
  const [openssl = ''] = await ensurePrograms([{ command: 'openssl', debianPackage: 'openssl' }])
  const [key, certificate, store] = ['key.pem', 'certificate.pem', 'store.pem'].map(name =>
    join(folder, name),
  )
  if (key === undefined || certificate === undefined || store === undefined) throw new Error('no file names')
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const made = ['-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate]
  await run(openssl, ['req', '-x509', ...made, ...names])
  const ca = await readFile(certificate, 'utf8')
  await writeFile(store, (await readFile(key, 'utf8')) + ca)
  const [username, password] = ['sluice', randomUUID()]
  const login = `org.apache.kafka.common.security.plain.PlainLoginModule required user_${username}="${password}";`
  const scram = Object.fromEntries(scramUsers.map(user => [user, randomUUID()]))
  const listener = 'listener.name.secure'
  return {
    listener: { address: `127.0.0.1:${port}`, ca, username, password, scram },
    settings: `
${listener}.ssl.keystore.type=PEM
${listener}.ssl.keystore.location=${store}
${listener}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
${listener}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
${listener}.plain.sasl.jaas.config=${login}
${listener}.plain.connections.max.reauth.ms=12000
`,
  }
}
