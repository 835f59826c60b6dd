/**
 * Somebody with access to Kafka, and without the operator's key, asks for what the services would do for a
 * holder of the key: to send the rows elsewhere, to run, to approve.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Command } from '@sluice/contracts/records'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { createLogger } from '@sluice/runtime/logger'
import { distributedSettings } from '@sluice/runtime/settings/distributed'
import { openStage, type StageContext } from '@sluice/partition/process/open-stage'
import { changeResources } from '@sluice/resources/change-resources'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { at, homePartition, sharedTopics, textKey } from '@sluice/topics/topics'
import { realServices, SERVICE_NAMES, startDistributed, type Distributed } from './distributed.ts'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const KEY = Buffer.alloc(32, 1).toString('base64')
const ANOTHER = Buffer.alloc(32, 2).toString('base64')
const { signal } = new AbortController()

describe.skipIf(realServices() === null)('services with a signing key', { timeout: 240_000 }, () => {
  let api: ScriptedApi
  let evil: ScriptedApi
  let services: Distributed
  let opened: AsyncDisposableStack

  beforeEach(async ({ onTestFailed }) => {
    opened = new AsyncDisposableStack()
    api = opened.use(await startScriptedApi())
    evil = opened.use(await startScriptedApi())
    services = opened.use(await startDistributed())
    onTestFailed(() => void process.stderr.write(services.logs()))
  })
  afterEach(() => opened.disposeAsync())

  /** A folder of somebody who has this key, or none. */
  async function folder(key: string | null): Promise<ProjectFolder> {
    const yaml = peopleYaml({ sync: 'removalGuard: { share: 0.5, rows: 2 }' })
    const env = { API_URL: api.url, ...services.env, ...(key === null ? {} : { SLUICE_SIGNING_KEY: key }) }
    return opened.use(
      await projectFolder({ files: { 'project.yaml': yaml, 'people.csv': manyPeople(5) }, env }),
    )
  }

  /** Kafka as somebody has it who writes records without the command. */
  async function stageOf(key: string | null): Promise<StageContext> {
    const env = { ...services.env, ...(key === null ? {} : { SLUICE_SIGNING_KEY: key }) }
    const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
    const logger = createLogger({ name: 'test', level: 'silent' })
    const of = { clientId: 'stranger', outlasts: true, logger, signal }
    return opened.use(await openStage(distributedSettings(env), adapters, of))
  }

  /** The operator turns the key on: all services are stopped, and others started. */
  async function turnKeyOn(): Promise<void> {
    await Promise.all(services.processes.map(process => process.stop()))
    await Promise.all(SERVICE_NAMES.map(name => services.add(name, { SLUICE_SIGNING_KEY: KEY })))
  }

  it('refuse whoever has none at once, and set aside what strangers write, however it is signed', async () => {
    const project = await folder(null)
    expect(await project.run(SYNC)).toMatchObject({ exitCode: 0 })
    await project.write('people.csv', manyPeople(2))
    const { view: before } = await project.run(SYNC)
    expect(before.status).toBe('held')

    await turnKeyOn()
    const sent = api.requests.length
    // Nothing is signed yet but what the detector said when it started.
    for (const asked of [
      ['approve', before.id],
      ['cancel', before.id],
      ['run', SYNC],
      ['reset', SYNC],
    ])
      expect(await project.error(...asked), asked.join(' ')).toMatchObject({
        exitCode: 2,
        code: 'config',
        message: expect.stringContaining('SLUICE_SIGNING_KEY is not set here'),
      })

    const owner = await folder(KEY)
    await owner.write('people.csv', manyPeople(2))
    const { view: held } = await owner.run(SYNC)
    expect(held.status).toBe('held')
    const detector = services.of('change-detector').at(-1)
    for (const key of [null, ANOTHER]) {
      const stage = await stageOf(key)
      const destination = { kind: 'destination', name: 'api', baseUrl: evil.url, allowPrivateNetwork: true }
      const next = { project: 'p', spec: JSON.stringify(destination) }
      await changeResources(stage, () => [{ kind: 'destination', name: 'api', next }], { by: 'eve', signal })
      const asked: readonly Partial<Command>[] = [
        { id: `approves-${key ?? 'unsigned'}`, kind: 'approve', run: held.id },
        { id: `cancels-${key ?? 'unsigned'}`, kind: 'cancel', run: held.id },
        { id: `RUN-${key === null ? 'UNSIGNED' : 'MISSIGNED'}`, kind: 'run' },
      ]
      for (const of of asked) {
        const command: Command = {
          ...{ id: '', kind: 'run', sync: SYNC, cause: 'manual', run: null, at: 1, scope: null },
          ...of,
        }
        const target = at(sharedTopics(stage.prefix).commands, homePartition(SYNC))
        const value = stage.io.encode('Command', command)
        await stage.log.append(target, [stage.io.signed(target.topic, { key: textKey(SYNC), value })], {
          signal,
        })
      }
      const id = asked.at(-1)?.id ?? ''
      await stage.runs.until(() => stage.runs.of(SYNC)?.events.get(id)?.status === 'failed', {
        signal: AbortSignal.timeout(30_000),
      })
      const refused = stage.runs.of(SYNC)?.events.get(id)
      expect(refused).toMatchObject({
        errorCode: 'config',
        error: expect.stringContaining('SLUICE_SIGNING_KEY'),
      })
    }
    const listens = await detector?.logged(line => typeof line['port'] === 'number')
    const metrics = await (await fetch(`http://127.0.0.1:${String(listens?.['port'])}/metrics`)).text()
    const counted = new RegExp(`sluice_foreign_records_total\\{topic="${services.prefix}.commands"\\} (\\d+)`)
    expect(Number(counted.exec(metrics)?.[1])).toBe(6)

    expect((await owner.runs()).find(({ id }) => id === held.id)?.status).toBe('held')
    expect(api.requests).toHaveLength(sent)
    const approved = await owner.sluice('approve', held.id, '--json')
    expect(JSON.parse(approved.stdout)).toMatchObject({
      status: 'success',
      triggers: { removed: { delivered: 3 } },
    })
    expect(evil.requests).toEqual([])
  })
})
