/**
 * A Kafka that checks the rights of its users. The rights that docs/OPERATIONS.md lists suffice. A user who
 * lacks a right, or has a wrong password, gets an error that says so.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
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
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { at, syncTopics } from '@sluice/topics/topics'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { startKafka, type SecureListener } from '../../deploy/local/kafka.ts'
import { Workspace } from '../../deploy/local/workspace.ts'
import { realServices, startDistributed, ServiceProcess, type Distributed } from './distributed.ts'
import { grantRights } from './kafka-acls.ts'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const OPERATIONS = fileURLToPath(new URL('../../docs/OPERATIONS.md', import.meta.url))
const RESOURCES = {
  topic: AclResourceTypes.TOPIC,
  group: AclResourceTypes.GROUP,
  'transactional-id': AclResourceTypes.TRANSACTIONAL_ID,
}

/** The rights as the page lists them, as commands of Kafka's own tool, for a prefix and a user. */
async function listedRights(prefix: string, user: string): Promise<AclEntry[]> {
  const page = await readFile(OPERATIONS, 'utf8')
  const lines = page.split('\n').filter(line => line.startsWith('kafka-acls.sh '))
  return lines.flatMap(line => {
    const [, kind = '', name = ''] = /--(topic|group|transactional-id) (\S+)/.exec(line) ?? []
    const resourceType = Object.entries(RESOURCES).find(([each]) => each === kind)?.[1]
    if (resourceType === undefined || !line.includes('--resource-pattern-type prefixed'))
      throw new Error(`not understood: ${line}`)
    return [...line.matchAll(/--operation (\w+)/g)].map(([, operation = '']) => ({
      resourceType,
      resourceName: name.replace('sluice', prefix),
      resourcePatternType: ResourcePatternTypes.PREFIXED,
      principal: `User:${user}`,
      host: '*',
      operation: operationOf(operation),
      permissionType: AclPermissionTypes.ALLOW,
    }))
  })
}

function operationOf(name: string): AclOperationTypes {
  const found = Object.entries(AclOperationTypes).find(
    ([each]) => each.replaceAll('_', '').toLowerCase() === name.toLowerCase(),
  )
  if (found === undefined) throw new Error(`there is no operation ${name}`)
  return Number(found[1])
}

describe.skipIf(realServices() === null)('on a Kafka that grants rights', () => {
  let workspace: Workspace
  let api: ScriptedApi
  let services: Distributed
  let project: ProjectFolder
  let secure: SecureListener
  let admin: Admin
  let login: { readonly [name: string]: string }

  const loginOf = ({ address, ca, username, password }: SecureListener): typeof login => ({
    SLUICE_KAFKA_BROKERS: address,
    SLUICE_KAFKA_SSL_CA: ca,
    SLUICE_KAFKA_SASL_MECHANISM: 'plain',
    SLUICE_KAFKA_SASL_USERNAME: username,
    SLUICE_KAFKA_SASL_PASSWORD: password,
  })

  const ofUser = () => ({
    brokers: [secure.address],
    ssl: { ca: secure.ca },
    sasl: { mechanism: 'plain' as const, username: secure.username, password: secure.password },
  })

  beforeAll(async () => {
    workspace = new Workspace()
    const authorizer = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'
    // Clients of the plain listener, such as the broker itself, may do everything.
    const settings = { 'authorizer.class.name': authorizer, 'super.users': 'User:ANONYMOUS' }
    const kafka = await startKafka(workspace, { secure: true, settings })
    if (kafka.secure === null) throw new Error('there is no secure listener')
    secure = kafka.secure
    login = loginOf(secure)
    api = await startScriptedApi()
    const env = { API_URL: api.url, ...login }
    const prefix = `rights-${process.pid}`
    admin = new Kafka({
      clientId: 'outside',
      brokers: [kafka.address],
      logLevel: logLevel.NOTHING,
    }).admin()
    await admin.connect()
    await grantRights(admin, await listedRights(prefix, kafka.secure.username))
    services = await startDistributed({ env: { ...env, SLUICE_PREFIX: prefix } })
    const files = { 'project.yaml': peopleYaml(), 'people.csv': manyPeople(20) }
    project = await projectFolder({ files, env: { ...services.env, ...env } })
  })
  afterAll(async () => {
    await admin.disconnect()
    await project[Symbol.asyncDispose]()
    await services[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
    await workspace.close({ keepLogs: false })
  })

  it('the listed rights suffice for a sync to run, fail, retry and be reset', async ({ onTestFailed }) => {
    onTestFailed(() => void process.stderr.write(services.logs()))
    api.on({}, () => ({ status: 400 }))
    expect((await project.run(SYNC)).view).toMatchObject({ status: 'warning' })
    api.reset()
    expect((await project.run(SYNC)).view).toMatchObject({
      status: 'success',
      triggers: { added: { delivered: 20 } },
    })
    expect(await project.sluice('reset', SYNC)).toMatchObject({ exitCode: 0 })
    api.reset()
    expect((await project.run(SYNC)).view).toMatchObject({
      status: 'success',
      triggers: { added: { delivered: 20 } },
    })
    // Kafka refused no request, not even one that Sluice can do without.
    for (const { log } of services.processes) expect(log.filter(({ level }) => level >= 40)).toEqual([])
  })

  it('the listed rights suffice to trim old requests', async ({ signal }) => {
    await using log = createKafkaLog({ ...ofUser(), clientId: 'trim' })
    const target = at(syncTopics(services.prefix, SYNC).requests, 0)
    const { end } = await log.offsets(target, { signal })
    await log.trim(target, end, { signal })
    expect((await log.offsets(target, { signal })).low).toBe(end)
  })

  it('a wrong password ends commands and services with exit code 2, like any wrong configuration', async () => {
    const wrong = { ...services.env, ...login, SLUICE_KAFKA_SASL_PASSWORD: 'wrong-password' }
    await using folder = await projectFolder({
      files: { 'project.yaml': peopleYaml(), 'people.csv': manyPeople(1) },
      env: { ...wrong, API_URL: api.url },
    })
    const failed = await folder.error('run', SYNC)
    expect(failed).toMatchObject({
      exitCode: 2,
      code: 'config',
      message: expect.stringContaining('refuses the login'),
    })
    expect(failed.message).not.toContain('wrong-password')
    await using service = new ServiceProcess('renderer', 'renderer-without', wrong)
    service.spawn()
    expect(await service.ended).toBe(2)
    expect(service.log.at(-1)?.msg).toContain('refuses the login')
    expect(JSON.stringify(service.log)).not.toContain('wrong-password')
  })

  it('a user who may not correct a topic gets the command, and one who may not read its settings can go on', async ({
    signal,
  }) => {
    const name = `${services.prefix}.made-by-hand`
    const spec = { topic: name, partitions: 1, cleanup: 'delete' } as const
    const rightOf = (operation: AclOperationTypes) => ({
      ...{ resourceType: AclResourceTypes.TOPIC, resourceName: name },
      ...{
        resourcePatternType: ResourcePatternTypes.LITERAL,
        principal: `User:${secure.username}`,
        host: '*',
      },
      ...{ operation, permissionType: AclPermissionTypes.DENY },
    })
    const configEntries = [{ name: 'max.message.bytes', value: '500000' }]
    await admin.createTopics({ topics: [{ topic: name, numPartitions: 1, configEntries }] })
    await grantRights(admin, [rightOf(AclOperationTypes.ALTER_CONFIGS)])
    await using log = createKafkaLog({ ...ofUser(), clientId: 'hand' })
    await expect
      .poll(() => log.ensureTopics([spec], { signal }).catch((error: unknown) => String(error)))
      .toContain(`--alter --topic ${name} --add-config max.message.bytes=1001024`)
    await grantRights(admin, [rightOf(AclOperationTypes.DESCRIBE_CONFIGS)])
    await expect.poll(() => log.ensureTopics([spec], { signal }).catch(String)).toBeUndefined()
  })

  it('a user without rights ends commands and services with exit code 2 and the name of the right', async () => {
    const without = { ...services.env, ...login, SLUICE_PREFIX: 'others' }
    await using service = new ServiceProcess('renderer', 'renderer-without', without)
    service.spawn()
    expect(await service.ended).toBe(2)
    expect(service.log.at(-1)?.msg).toContain('lacks a right that docs/OPERATIONS.md lists')
  })

  it('a Kafka that does not answer ends commands with exit code 5', async () => {
    const nobody = { ...services.env, SLUICE_KAFKA_BROKERS: '127.0.0.1:1', SLUICE_STARTUP_TIMEOUT: '1s' }
    await using folder = await projectFolder({
      files: { 'project.yaml': peopleYaml(), 'people.csv': manyPeople(1) },
      env: { ...nobody, API_URL: api.url },
    })
    expect(await folder.error('run', SYNC)).toMatchObject({ exitCode: 5, code: 'unreachable' })
  })
})
