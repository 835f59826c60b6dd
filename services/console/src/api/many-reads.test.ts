/** A caller with the token for reading asks for everything, many times at once. Others get their answers. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { storedCatalog } from '@sluice/control/catalog'
import type { Pipeline } from '@sluice/control/pipeline'
import { ProjectControl } from '@sluice/control/project-control'
import { ulid } from '@sluice/domain/ulid'
import { endOf } from '@sluice/flow/ends'
import { writeResources } from '@sluice/resources/change-resources'
import { createLogger } from '@sluice/runtime/logger'
import { sampleCounts, sampleDefinition, sampleEvent } from '@sluice/testkit/sample-records'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { at, homePartition, runKey, sharedTopics } from '@sluice/topics/topics'
import { AskedRuns } from '../asked-runs.ts'
import { createApi } from './create-api.ts'
import { listen } from '../../test/test-listener.ts'

const SYNCS = 100
const RUNS = 50
const AT_ONCE = 30
const TOKENS = { write: 'write-token-01234', read: 'read-token-012345' }
const PATHS = [
  '/syncs?runs=50&limit=1000',
  '/syncs/s007?runs=50',
  '/syncs/s007/failed',
  '/runs?limit=1000',
  '/attempts?limit=1000',
  '/resources?limit=1000',
  '/resources/sync/s007',
  '/destinations',
  '/audit',
  '/alerts',
  '/openapi.json',
]
/** Asks for each path this many times at once, and prints the statuses. */
const BURST = `
  const { Agent, get } = require('node:http')
  const [url, token, times, ...paths] = process.argv.slice(1)
  const agent = new Agent({ maxSockets: Infinity })
  const headers = { authorization: 'Bearer ' + token }
  const asked = path => new Promise(resolve => get(url + path, { agent, headers }, response =>
    response.resume().on('end', () => resolve(response.statusCode))).on('error', resolve))
  Promise.all(paths.flatMap(path => Array.from({ length: Number(times) }, () => asked(path))))
    .then(statuses => console.log(JSON.stringify([...new Set(statuses)])))`

const { signal } = new AbortController()
const logger = createLogger({ name: 'test', level: 'silent' })
const open = new AsyncDisposableStack()
let url: string

beforeAll(async () => {
  const world = open.use(await openTestLog({ partitions: 0 }))
  await fill(world)
  const pipeline: Pipeline = {
    ...{ ...world, vault: null, newRunId: () => 'RUN', logger, servicesElsewhere: true },
    start: (_only, { drain }) => endOf(drain),
  }
  const control = new ProjectControl(storedCatalog(pipeline), {
    hasHistory: true,
    open: () => Promise.resolve(pipeline),
    assertSecrets: () => Promise.resolve(),
    openNextRun: () => Promise.reject(new Error('nothing runs here')),
    openNoticeSenders: () => Promise.reject(new Error('no alert is told here')),
  })
  const asked = new AskedRuns({ logger, cancel: signal })
  const access = { kind: 'tokens', tokens: TOKENS } as const
  const api = open.use(
    await createApi({ access, openControl: () => Promise.resolve(control), asked, logger }),
  )
  const { port } = open.use(await listen(api.listener))
  url = `http://127.0.0.1:${port}/api/v1`
})
afterAll(() => open.disposeAsync())

async function fill(world: TestLog): Promise<void> {
  const { source, model, destination } = sampleDefinition({})
  const names = Array.from({ length: SYNCS }, (_, index) => `s${String(index).padStart(3, '0')}`)
  const schedule = { cron: '*/5 * * * *', timezone: 'Europe/Paris' }
  const syncs = names.map(name => sampleDefinition({ sync: { name, schedule } }).sync)
  const records = [source, model, destination, ...syncs].map(spec => {
    return { kind: spec.kind, name: spec.name, spec: JSON.stringify(spec) }
  })
  await writeResources(world, records, { owner: { project: 'fleet' }, signal, by: 'me' })
  const definition = await world.definitions.put(sampleDefinition({}), { signal })
  for (const [index, sync] of names.entries()) {
    const events = Array.from({ length: RUNS }, (_, number) => {
      const queuedAt = 1_700_000_000_000 + number * 60_000 + index
      const runId = ulid(queuedAt, randomBytes(10))
      const counts = { added: sampleCounts({ detected: 5, delivered: 5 }) }
      const times = { queuedAt, startedAt: queuedAt, endedAt: queuedAt + 50 }
      const run = number + 1
      const event = {
        sync,
        runId,
        run,
        status: 'success',
        complete: true,
        definition,
        counts,
        ...times,
      } as const
      return { key: runKey(sync, runId), value: world.io.encode('RunEvent', sampleEvent(event)) }
    })
    await world.append(at(sharedTopics(world.prefix).runs, homePartition(sync)), events)
  }
}

/** The milliseconds of CPU that this thread, which serves, spends from the question to the answer. */
async function ping(): Promise<number> {
  const before = process.threadCpuUsage()
  const headers = { authorization: `Bearer ${TOKENS.write}` }
  const status = await new Promise((resolve, reject) => {
    get(`${url}/session`, { headers }, response => {
      response.resume().on('end', () => resolve(response.statusCode))
    }).on('error', reject)
  })
  expect(status).toBe(200)
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1_000
}

it('answers an operator before the reads of another caller, however many these are', async () => {
  for (let warm = 0; warm < 5; warm += 1) await ping()
  const burst = spawn(process.execPath, ['-e', BURST, url, TOKENS.read, String(AT_ONCE), ...PATHS])
  let said = ''
  burst.stdout.on('data', (part: Buffer) => (said += part.toString()))
  const isOver = once(burst, 'exit').then(() => true)
  const pings: number[] = []
  while (!(await Promise.race([isOver, ping().then(ms => pings.push(ms) === 0)]))) continue
  // Requests without a place get 429. None fails.
  expect((JSON.parse(said) as number[]).filter(status => status !== 200 && status !== 429)).toEqual([])
  // About 70 on an idle machine, and 700 where reads have no turns. A garbage collection may add to it.
  expect(Math.max(...pings)).toBeLessThan(400)
}, 60_000)
