import { randomUUID } from 'node:crypto'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cached, ensureJava, mavenDependencies } from './install.ts'
import { freePorts } from './ports.ts'
import { exchange } from './probes.ts'
import { runService, withNewPorts } from './service.ts'
import type { LocalService } from './service.ts'
import type { Workspace } from './workspace.ts'

const VERSION = '4.3.1'
const DEPENDENCIES = [
  `org.apache.kafka:kafka_2.13:${VERSION}`,
  // Kafka logs through SLF4J 1.7; without a binding its log would be empty.
  'org.apache.logging.log4j:log4j-slf4j-impl:2.25.4',
]

const LOGGING = `
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

/**
 * One KRaft node that is broker and controller. The intervals are shorter than Kafka's own so that tests see
 * compaction, expiry and rebalances within seconds; nothing that a client relies on differs.
 */
const settings = (port: number, controllerPort: number, folder: string) => `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${join(folder, 'log')}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
message.max.bytes=10485760
replica.fetch.max.bytes=10485760
log.cleaner.backoff.ms=500
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
log.segment.delete.delay.ms=1000
offsets.retention.check.interval.ms=1000
`

/** ApiVersions, version 0, no client id: a broker answers requests only once it is ready for all of them. */
const API_VERSIONS = Buffer.from('0000000a0012000000000001ffff', 'hex')

/** Starts a Kafka of one node. Its address is `host:port`. */
export async function startKafka(workspace: Workspace, name = 'kafka'): Promise<LocalService> {
  const java = await ensureJava()
  const installed = await cached(`kafka-${VERSION}`, folder => mavenDependencies(folder, DEPENDENCIES))
  const classes = join(installed, 'libs', '*')
  return withNewPorts(async () => {
    const [port = 0, controllerPort = 0] = await freePorts(2)
    const folder = workspace.dataFolder(`${name}-${port}`)
    const file = join(folder, 'server.properties')
    const logging = join(folder, 'log4j2.properties')
    await writeFile(file, settings(port, controllerPort, folder))
    await writeFile(logging, LOGGING)
    const run = [java, `-Dlog4j2.configurationFile=${logging}`, '-Xshare:auto', '-XX:TieredStopAtLevel=1']
    const clusterId = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url')
    const format = ['-cp', classes, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', file]
    await promisify(execFile)(java, [...run.slice(1), ...format])
    const memory = ['-Xms256m', '-Xmx768m', '-XX:+UseG1GC']
    return runService(workspace, {
      name: 'kafka',
      address: `127.0.0.1:${port}`,
      command: [
        java,
        ...memory,
        `-Dlog4j2.configurationFile=${logging}`,
        '-cp',
        classes,
        'kafka.Kafka',
        file,
      ],
      answers: async () => (await exchange(port, API_VERSIONS)).length > 0,
      startTimeoutMs: 60_000,
    })
  })
}
