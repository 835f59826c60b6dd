/** Alerts on Kafka: two consoles of which one watches, and dies. And what tools that watch groups see. */
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { RunsView } from '@sluice/runs/runs-view'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { ForeignRecords } from '@sluice/topics/foreign-records'
import { RecordIo } from '@sluice/topics/record-io'
import { at, homePartition, isMarkerKey, syncTopics } from '@sluice/topics/topics'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { realServices, startDistributed, type Distributed } from './distributed.ts'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const HOOK = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const ALERT = `---
kind: alert
name: team
syncs: all
when: [rows-failed: { share: 0.01 }]
to: { webhook: { url: "\${HOOK_URL}/hook", secret: "\${secret:hook}" } }
allowPrivateNetwork: true
`
const { signal } = new AbortController()

describe.skipIf(realServices() === null)('on Kafka', () => {
  let api: ScriptedApi
  let hook: ScriptedApi
  let services: Distributed
  let project: ProjectFolder
  beforeAll(async () => {
    api = await startScriptedApi()
    hook = await startScriptedApi()
    services = await startDistributed()
    const env = { API_URL: api.url, HOOK_URL: hook.url, ...services.env }
    const files = { 'project.yaml': peopleYaml() + ALERT, 'people.csv': manyPeople(20) }
    project = await projectFolder({ files, env })
    const secrets = { SLUICE_SECRET_HOOK: HOOK, SLUICE_SECRET_HOOK_FOR: '127.0.0.1 alert' }
    const console = { SLUICE_TOKEN: 'a-token-that-writes', ...secrets }
    await Promise.all([services.add('console', console), services.add('console', console)])
  })
  afterAll(async () => {
    await project[Symbol.asyncDispose]()
    await services[Symbol.asyncDispose]()
    await hook[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })
  /**
   * The text of each notice, by its id. A process that dies before it has stored that a notice was sent sends
   * it again.
   */
  const told = (): ReadonlyMap<string | undefined, string> =>
    new Map(
      hook.requests.map(({ headers, body }) => {
        const { data }: { data: { readonly state: string } } = JSON.parse(body)
        return [headers['webhook-id'], data.state]
      }),
    )

  it('one console watches, and when it is killed the other one goes on', async () => {
    api.on({ url: '/people/2' }, { status: 422 })
    expect((await project.run(SYNC)).view.status).toBe('warning')
    await hook.waitFor(1)
    const wasSent = (line: { readonly msg: string }): boolean => line.msg === 'a notice was sent'
    const consoles = services.of('console')
    await Promise.race(consoles.map(each => each.logged(wasSent)))
    const watching = consoles.find(({ log }) => log.some(wasSent))
    await watching?.kill()
    api.reset()
    expect((await project.run(SYNC)).view.status).toBe('success')
    await hook.waitFor(() => [...told().values()].includes('recovered'))
    expect([...told().values()]).toEqual(['firing', 'recovered'])
    expect(told().has(undefined)).toBe(false)
  })

  it('renderer and delivery have told their groups that nothing is left', async () => {
    const { env, prefix } = services
    const clientId = 'test'
    await using log = createKafkaLog({ brokers: (env['SLUICE_KAFKA_BROKERS'] ?? '').split(','), clientId })
    await using codec = createRegistryCodec({ url: env['SLUICE_SCHEMA_REGISTRY_URL'] ?? '', clientId })
    const foreign = new ForeignRecords(() => undefined)
    const io = await RecordIo.open(codec, prefix, { signatures: null, foreign, signal })
    await using runs = await RunsView.open({ log, io, prefix }, { signal })
    await runs.caughtUp(homePartition(SYNC), { signal })
    const incarnation = runs.of(SYNC)?.incarnation ?? ''
    const topics = syncTopics(prefix, SYNC)
    for (const [service, topic] of [
      ['renderer', topics.changes],
      ['delivery', topics.requests],
    ] as const) {
      const left = async (): Promise<readonly number[]> => {
        const hints = await log.committed(`${prefix}.${service}.${SYNC}.${incarnation}`, topic, { signal })
        expect(hints.some(hint => (hint ?? 0) > 0)).toBe(true)
        const works = hints.map(async (hint, partition) => {
          const { low, end } = await log.offsets(at(topic, partition), { signal })
          const from = Math.max(low, hint ?? 0)
          let work = 0
          if (from < end)
            for await (const { records } of log.read(at(topic, partition), { from, to: end, signal }))
              work += records.filter(({ key }) => !isMarkerKey(key)).length
          return work
        })
        return await Promise.all(works)
      }
      // Hints come a moment after what they tell. Each new owner writes markers behind the last one.
      const isMuch = async () => (await left()).filter(work => work > 0)
      await expect.poll(isMuch, { message: service, timeout: 15_000 }).toEqual([])
    }
  })
})
