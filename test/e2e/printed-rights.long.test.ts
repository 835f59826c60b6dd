/**
 * A Kafka with TLS, SCRAM and rights, on which each part has a user of its own, with the rights that `sluice
 * topics --print` lists and no others. The topics are made by hand as it lists them. All works; with one
 * right less, the message names it.
 */
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
  type AclEntry,
  type Admin,
} from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { topicsView, type TopicsView } from '@sluice/contracts/operator-views'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { startKafka, type SecureListener } from '../../deploy/local/kafka.ts'
import { Workspace } from '../../deploy/local/workspace.ts'
import { realServices, ServiceProcess, startDistributed, type Distributed } from './distributed.ts'
import { grantRights, takeRights } from './kafka-acls.ts'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

type Right = TopicsView['rights'][number]
type Role = Right['role']

const ROLES = ['detector', 'renderer', 'delivery', 'command', 'console'] as const satisfies readonly Role[]
const PREFIX = `printed-${process.pid}`
const RESOURCES = {
  topic: AclResourceTypes.TOPIC,
  group: AclResourceTypes.GROUP,
  'transactional-id': AclResourceTypes.TRANSACTIONAL_ID,
}
const OPERATIONS: { readonly [name: string]: AclOperationTypes } = {
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
  Delete: AclOperationTypes.DELETE,
  Describe: AclOperationTypes.DESCRIBE,
  DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
}

function userOf(role: Role): string {
  return `${PREFIX}-${role}`
}

function entriesOf({ role, resource, name, pattern, operations }: Right): AclEntry[] {
  return operations.map(operation => ({
    resourceType: RESOURCES[resource],
    resourceName: name,
    resourcePatternType:
      pattern === 'prefixed' ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
    principal: `User:${userOf(role)}`,
    host: '*',
    operation: OPERATIONS[operation] ?? AclOperationTypes.UNKNOWN,
    permissionType: AclPermissionTypes.ALLOW,
  }))
}

describe.skipIf(realServices() === null)('with the rights that `sluice topics --print` lists', () => {
  let workspace: Workspace
  let api: ScriptedApi
  let services: Distributed
  let project: ProjectFolder
  let secure: SecureListener
  let admin: Admin
  let view: TopicsView
  let env: { readonly [name: string]: string }

  const loginOf = (role: Role): { readonly [name: string]: string } => ({
    SLUICE_KAFKA_BROKERS: secure.address,
    SLUICE_KAFKA_SSL_CA: secure.ca,
    SLUICE_KAFKA_SASL_MECHANISM: 'scram-sha-512',
    SLUICE_KAFKA_SASL_USERNAME: userOf(role),
    SLUICE_KAFKA_SASL_PASSWORD: secure.scram[userOf(role)] ?? '',
  })

  async function makeTopics(): Promise<void> {
    await admin.createTopics({
      waitForLeaders: true,
      topics: view.topics.map(({ topic, partitions, settings }) => ({
        topic,
        numPartitions: partitions,
        configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
      })),
    })
  }

  /** Takes a right away, does something, and gives it back. */
  async function without<T>(
    [role, name, operation]: readonly [role: Role, name: string, operation: string],
    work: () => Promise<T>,
  ): Promise<T> {
    const right = view.rights.find(each => each.role === role && each.name === name)
    if (right?.operations.includes(operation) !== true) throw new Error(`no such right: ${role} ${name}`)
    const all = entriesOf({ ...right, operations: [operation] })
    await takeRights(admin, all)
    try {
      return await work()
    } finally {
      await grantRights(admin, all)
    }
  }

  beforeAll(async () => {
    workspace = new Workspace()
    const authorizer = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'
    const settings = { 'authorizer.class.name': authorizer, 'super.users': 'User:ANONYMOUS' }
    const kafka = await startKafka(workspace, { secure: true, scramUsers: ROLES.map(userOf), settings })
    if (kafka.secure === null) throw new Error('there is no secure listener')
    secure = kafka.secure
    api = await startScriptedApi()
    env = {
      ...realServices(),
      API_URL: api.url,
      SLUICE_PREFIX: PREFIX,
      SLUICE_KAFKA_CREATE_TOPICS: 'false',
      SLUICE_ENCRYPTION_KEY: EncryptionKeys.generate(),
    }
    project = await projectFolder({
      files: { 'project.yaml': peopleYaml(), 'people.csv': manyPeople(20) },
      env: { ...env, ...loginOf('command') },
      here: true,
    })
    const printed = await project.sluice('topics', '--print', '--json')
    view = topicsView.parse(JSON.parse(printed.stdout))
    admin = new Kafka({ clientId: 'outside', brokers: [kafka.address], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await makeTopics()
    await grantRights(admin, view.rights.flatMap(entriesOf))
    const none = { 'change-detector': 0, renderer: 0, delivery: 0 }
    services = await startDistributed({ counts: none, env })
    await services.add('change-detector', loginOf('detector'))
    await services.add('renderer', loginOf('renderer'))
    await services.add('delivery', loginOf('delivery'))
    await services.add('console', loginOf('console'))
  })
  afterAll(async () => {
    await admin.disconnect()
    await services[Symbol.asyncDispose]()
    await project[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
    await workspace.close({ keepLogs: false })
  })

  it('a sync is previewed, tried out, run, looked at and tried again', async ({ onTestFailed }) => {
    onTestFailed(() => void process.stderr.write(services.logs(30)))
    const done = async (...words: readonly string[]) => {
      const { exitCode, stdout } = await project.sluice(...words, '--json')
      expect([words, exitCode, stdout]).toEqual([words, 0, stdout])
    }
    await done('doctor')
    await done('preview', SYNC)
    await done('send', SYNC, '--key', '1', '--trigger', 'added', '--yes')
    api.on({ url: '/people/2' }, { status: 422 })
    expect((await project.run(SYNC)).view).toMatchObject({
      status: 'warning',
      triggers: { added: { delivered: 18 } },
    })
    expect(await project.failed(SYNC)).toHaveLength(2)
    api.reset()
    await done('retry', SYNC, '--key', '2')
    await done('run', SYNC)
    await done('attempts', '--sync', SYNC)
    await done('runs')
    expect(
      (await project.sluiceWith('the-value', 'secret', 'set', 'token', '--for', '127.0.0.1')).exitCode,
    ).toBe(0)
    await done('secret', 'list')
    await done('secret', 'remove', 'token')
    const [server] = services.of('console')
    await using client = await projectFolder({ env: { SLUICE_URL: server?.url ?? '' }, here: true })
    for (const words of [['runs'], ['preview', SYNC], ['attempts', '--sync', SYNC], ['run', SYNC]])
      expect([words, (await client.sluice(...words)).exitCode]).toEqual([words, 0])
    const sent = await client.sluice('send', SYNC, '--key', '3', '--trigger', 'removed', '--yes', '--json')
    expect([sent.exitCode, sent.stdout]).toEqual([0, sent.stdout])
    // Kafka refused no request, not even one that Sluice can do without.
    for (const { label, log } of services.processes)
      expect([label, log.filter(line => JSON.stringify(line).includes('AUTHORIZATION'))]).toEqual([label, []])
  })

  it.each([
    [
      ['command', `${PREFIX}.commands`, 'Write'],
      ['run', SYNC],
    ],
    [
      ['command', `${PREFIX}.resources`, 'Read'],
      ['run', SYNC],
    ],
    [
      ['command', `${PREFIX}.tests`, 'Write'],
      ['send', SYNC, '--key', '1', '--trigger', 'added', '--yes'],
    ],
    [
      ['command', `${PREFIX}.${SYNC}.changes`, 'Read'],
      ['preview', SYNC],
    ],
    [
      ['command', `${PREFIX}.${SYNC}.attempts`, 'Read'],
      ['attempts', '--sync', SYNC],
    ],
    [
      ['command', `${PREFIX}.secrets`, 'Write'],
      ['secret', 'set', 'token', '--for', '127.0.0.1'],
    ],
  ] as const)('without %j, a command exits with 2 and names it', async (right, words) => {
    const { exitCode, stdout } = await without(right, () => project.sluiceWith('a-value', ...words, '--json'))
    expect([exitCode, stdout]).toEqual([2, expect.stringContaining(right[1])])
    expect(stdout).toContain('lacks a right')
  })

  it.each([
    ['renderer', 'renderer', `${PREFIX}.runs`],
    ['delivery', 'delivery', `${PREFIX}.runs`],
    ['change-detector', 'detector', `${PREFIX}.runs`],
    ['console', 'console', `${PREFIX}.runs`],
  ] as const)(
    '%s without the right to read a topic ends with 2 and names it',
    async (service, role, topic) => {
      await without([role, topic, 'Read'], async () => {
        const own = { ...env, SLUICE_PORT: '0', SLUICE_HOST: '127.0.0.1', ...loginOf(role) }
        await using process = new ServiceProcess(service, `${service}-without`, own)
        process.spawn()
        expect(await process.ended).toBe(2)
        expect(process.log.at(-1)?.msg).toContain(topic)
        expect(process.log.at(-1)?.msg).toContain('lacks a right')
      })
    },
  )
})
