/**
 * A followed table whose rows change all the time, while processes join and all are restarted one after the
 * other, as in a deployment. Nothing is sent twice, and no row comes after a newer one of its key.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel, type Admin } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { randomFrom } from '@sluice/testkit/random'
import { realServices, startDistributed, type Distributed } from '../e2e/distributed.ts'
import { projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'
import { LateApi, lateProject } from './late-api.ts'
import { followedTable, repeatsOf, WantedRows, type StreamedRows } from './streamed-rows.ts'

const KEYS = Array.from({ length: 500 }, (_, n) => `key ${n}`)
const EDIT_EVERY_MS = 20
const LOOKED_AT_MS = 10_000
const postgres = inject('postgresUrl')

/** Records of a topic beyond the offsets of the group with this beginning of its name. */
async function lagOf(admin: Admin, group: string, topic: string): Promise<number> {
  const { groups } = await admin.listGroups()
  const groupId = groups.find(({ groupId: id }) => id.startsWith(group))?.groupId
  if (groupId === undefined) throw new Error(`no group ${group}`)
  const ends = await admin.fetchTopicOffsets(topic)
  const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] })
  return ends.reduce((sum, { partition, high }) => {
    const offset = committed?.partitions.find(each => each.partition === partition)?.offset ?? '0'
    return sum + Number(high) - Math.max(0, Number(offset))
  }, 0)
}

async function backlogOf(services: Distributed): Promise<number> {
  const pages = await Promise.all(
    services.of('delivery').map(async ({ url }) => (await fetch(`${url}/metrics`)).text()),
  )
  return pages
    .flatMap(page => [...page.matchAll(/^sluice_backlog_requests\{[^}]*\} (\d+)/gm)])
    .reduce((sum, [, count]) => sum + Number(count), 0)
}

describe.skipIf(postgres === null || realServices() === null)(
  'a stream whose processes come and go',
  { timeout: 600_000 },
  () => {
    const random = randomFrom(1)
    const wrong: string[] = []
    const arrivedMs: number[] = []
    let api: LateApi
    let table: StreamedRows
    let services: Distributed
    let project: ProjectFolder
    let wanted: WantedRows
    beforeAll(async () => {
      api = await LateApi.open()
      table = await followedTable(postgres ?? '')
      wanted = new WantedRows(table, KEYS)
      api.onArrived = ({ url, rows }) => {
        arrivedMs.push(performance.now())
        for (const { key, v } of rows) {
          const what = wanted.arrived(key, url === '/remove' ? null : v)
          if (what !== null) wrong.push(what)
        }
      }
      const env = { API_URL: api.url, ...table.env }
      services = await startDistributed({ env, counts: { renderer: 2, delivery: 2 } })
      const yaml = lateProject({ timeout: '30s', sync: 'schedule: continuous', rows: table.yaml })
      project = await projectFolder({ files: { 'project.yaml': yaml }, env: { ...env, ...services.env } })
      const { exitCode, stderr } = await project.sluice('apply')
      expect(exitCode, stderr).toBe(0)
    })
    afterAll(async () => {
      await services?.[Symbol.asyncDispose]()
      await project?.[Symbol.asyncDispose]()
      await table?.[Symbol.asyncDispose]()
      await api?.[Symbol.asyncDispose]()
    })

    /** Changes rows until the work is done, waits until all have arrived, and returns the longest pause. */
    const whileRowsChange = async (work: () => Promise<unknown>): Promise<number> => {
      const over = new AbortController()
      const editing = (async () => {
        while (!over.signal.aborted) {
          await wanted.edit(random)
          await sleep(EDIT_EVERY_MS)
        }
      })()
      await api.until(api.arrived + 10)
      const from = arrivedMs.length - 1
      await work()
      await api.until(api.arrived + 10)
      const pauses = arrivedMs.slice(from).map((at, index) => at - (arrivedMs[from + index - 1] ?? at))
      over.abort()
      await editing
      for (;;) {
        const seen = api.arrived
        await api.settled()
        if (wanted.difference(api.rows) === null) break
        await api.until(seen + 1)
      }
      expect(wrong).toEqual([])
      expect(repeatsOf(api.log), services.logs()).toBe(0)
      return Math.round(Math.max(...pauses))
    }
    const runsBegun = (): number =>
      services.processes.flatMap(({ log }) => log.filter(({ msg }) => msg === 'the run has begun')).length

    it('shows no lag of Kafka and no backlog once its rows rest, as KEDA reads them', async () => {
      const kafka = new Kafka({
        brokers: [services.env['SLUICE_KAFKA_BROKERS'] ?? ''],
        logLevel: logLevel.NOTHING,
      })
      const admin = kafka.admin()
      await admin.connect()
      try {
        const most = { renderer: 0, delivery: 0, backlog: 0 }
        const look = async (): Promise<number> => {
          const renderer = await lagOf(
            admin,
            `${services.prefix}.renderer.rows.`,
            `${services.prefix}.rows.changes`,
          )
          const delivery = await lagOf(
            admin,
            `${services.prefix}.delivery.rows.`,
            `${services.prefix}.rows.requests`,
          )
          const backlog = await backlogOf(services)
          most.renderer = Math.max(most.renderer, renderer)
          most.delivery = Math.max(most.delivery, delivery)
          most.backlog = Math.max(most.backlog, backlog)
          return renderer + delivery + backlog
        }
        await whileRowsChange(async () => {
          const untilMs = performance.now() + LOOKED_AT_MS
          while (performance.now() < untilMs) await look()
        })
        while ((await look()) > 0) await sleep(100)
        process.stderr.write(`while rows changed, at most ${JSON.stringify(most)} waited, as KEDA reads it\n`)
      } finally {
        await admin.disconnect()
      }
    })

    it('goes on when a second change-detector joins', async () => {
      const pausedMs = await whileRowsChange(() => services.add('change-detector'))
      process.stderr.write(
        `a second change-detector joined: a pause of ${pausedMs} ms, ${runsBegun()} runs\n`,
      )
    })

    it('goes on when each process is restarted', async () => {
      for (const service of services.processes) {
        const before = runsBegun()
        const pausedMs = await whileRowsChange(async () => {
          expect(await service.stop(), `${service.label}: ${services.logs(20)}`).toBe(0)
          await service.start()
        })
        const runs = runsBegun() - before
        process.stderr.write(`${service.label} restarted: a pause of ${pausedMs} ms, ${runs} new runs\n`)
      }
    })
  },
)
