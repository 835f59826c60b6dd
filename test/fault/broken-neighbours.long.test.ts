/**
 * Twenty syncs in one set of services, some of them broken, each in its own way. The others deliver as if
 * they were alone, and no process ends. The broken syncs say why, and the test repairs them one by one (R12,
 * PROTOCOL.md §11).
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { destination, model, source, sync, type ResourceSpec } from '@sluice/contracts/resources'
import type { Command, RunEvent } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { createLogger } from '@sluice/runtime/logger'
import { distributedSettings } from '@sluice/runtime/settings/distributed'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { openStage, type StageContext } from '@sluice/partition/process/open-stage'
import { parseResource } from '@sluice/resources/parse-documents'
import { writeResources } from '@sluice/resources/change-resources'
import { at, homePartition, sharedTopics, syncTopics, syncTopicSpecs, textKey } from '@sluice/topics/topics'
import { forkScriptedApi, type ForkedApi } from '@sluice/testkit/scripted-api-fork'
import { realServices, startDistributed, type Distributed } from '../e2e/distributed.ts'

const SYNCS = Array.from({ length: 20 }, (_, index) => `n${String(index).padStart(2, '0')}`)
const PARTITIONS = 2
const ROWS = 20
const ENDED_WITHIN_MS = 60_000
const { signal } = new AbortController()

/** Syncs that are broken from the first run on, or from the second on, and the error of their runs. */
const AT_ONCE = {
  n03: { status: 'failed', errorCode: 'template' },
  n09: { status: 'failed', errorCode: 'conflict' },
} as const
const LATER = {
  n07: { status: 'failed', errorCode: 'lost-topic' },
  n13: { status: 'failed', errorCode: 'corrupt' },
} as const
/** Lacks a secret of its destination, which may come, so it waits. */
const WAITS = 'n11'
/** Its API never answers. */
const HANGS = 'n17'
const BROKEN: readonly string[] = [...Object.keys(AT_ONCE), ...Object.keys(LATER), WAITS, HANGS]
const HEALTHY = SYNCS.filter(name => !BROKEN.includes(name))

describe.skipIf(realServices() === null)('twenty syncs, six of them broken', { timeout: 240_000 }, () => {
  let services: Distributed
  let api: ForkedApi
  let stage: StageContext
  let dir: string
  const pids = (): readonly number[] => services.processes.map(({ pid }) => pid)
  let before: readonly number[]

  beforeAll(async () => {
    api = await forkScriptedApi()
    api.on({ url: `/${HANGS}/` }, { fault: 'hang' })
    services = await startDistributed()
    before = pids()
    dir = await mkdtemp(join(tmpdir(), 'sluice-neighbours-'))
    const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
    const logger = createLogger({ name: 'test', level: 'silent' })
    const of = { clientId: 'test', outlasts: true, logger, signal }
    stage = await openStage(distributedSettings(services.env), adapters, of)
    await people(0)
    await write(SYNCS.flatMap(name => resources(name)))
    const [requests] = syncTopicSpecs(stage.prefix, 'n09', PARTITIONS + 1)
    await stage.log.ensureTopics(requests === undefined ? [] : [requests], { signal })
  })
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]()
    await services?.[Symbol.asyncDispose]()
    await api?.[Symbol.asyncDispose]()
    await rm(dir, { recursive: true, force: true })
  })

  function people(version: number): Promise<void> {
    const rows = Array.from({ length: ROWS }, (_, id) => `${id},v${version}`)
    return writeFile(join(dir, 'people.csv'), ['id,name', ...rows, ''].join('\n'))
  }

  function resources(name: string): readonly ResourceSpec[] {
    const path = name === 'n03' ? `/${name}/{{ id | nonsense }}` : `/${name}/{{ id }}`
    const headers = name === WAITS ? { headers: { Authorization: '${secret:MISSING}' } } : {}
    const added = { method: 'PUT', path, body: { json: '{"name":{{ row.name | json }}}' } }
    return [
      source.parse({ kind: 'source', name: 'files', type: 'duckdb', path: dir }),
      model.parse({
        kind: 'model',
        name,
        source: 'files',
        sql: `select id, name from 'people.csv'`,
        primaryKey: 'id',
      }),
      destination.parse({
        kind: 'destination',
        name,
        baseUrl: api.url,
        allowPrivateNetwork: true,
        ...headers,
      }),
      sync.parse({
        ...{ kind: 'sync', name, model: name, destination: name, partitions: PARTITIONS, timeout: '2s' },
        triggers: { added, changed: 'added' },
      }),
    ]
  }

  async function write(specs: readonly ResourceSpec[]): Promise<void> {
    const records = specs.map(spec => ({
      ...{ kind: spec.kind, name: spec.name },
      spec: JSON.stringify(spec),
    }))
    await writeResources(stage, records, { owner: { project: 'test' }, signal })
  }

  async function command(name: string, of: Partial<Command> = {}): Promise<string> {
    const id = `${name}-${performance.now()}`
    const asked: Command = {
      ...{ id, kind: 'run', sync: name, cause: 'manual', run: null, at: 1, scope: null },
      ...of,
    }
    await stage.log.append(
      at(sharedTopics(stage.prefix).commands, homePartition(name)),
      [{ key: textKey(name), value: stage.io.encode('Command', asked) }],
      { signal },
    )
    return id
  }

  async function ended(name: string, id: string): Promise<RunEvent> {
    const find = (): RunEvent | undefined => stage.runs.of(name)?.events.get(id)
    await stage.runs
      .until(() => isEnded(find()?.status ?? 'queued'), { signal: AbortSignal.timeout(ENDED_WITHIN_MS) })
      .catch((error: unknown) => {
        throw new Error(`${name} does not end: ${JSON.stringify(find())}; ${services.logs()}`, {
          cause: error,
        })
      })
    const event = find()
    if (event === undefined) throw new Error(`${name} has gone`)
    return event
  }

  const run = async (name: string): Promise<RunEvent> => ended(name, await command(name))

  async function expectHealthy(version: number): Promise<void> {
    const runs = await Promise.all(HEALTHY.map(run))
    for (const event of runs)
      expect(event, `${event.sync}: ${String(event.error)}`).toMatchObject({
        status: 'success',
        counts: { [version === 0 ? 'added' : 'changed']: { delivered: ROWS } },
      })
    const sent = api.requests.filter(({ body }) => body.includes(`"v${version}"`)).map(({ url }) => url)
    for (const name of HEALTHY) expect(sent.filter(url => url.startsWith(`/${name}/`))).toHaveLength(ROWS)
    expect(pids(), services.logs()).toEqual(before)
  }

  it('the others deliver, and the broken ones say why they do not', async () => {
    const waits = await command(WAITS)
    const hangs = await command(HANGS)
    const broken = Promise.all(Object.keys(AT_ONCE).map(run))
    const later = Promise.all(Object.keys(LATER).map(run))
    await expectHealthy(0)
    expect((await later).map(({ status }) => status)).toEqual(['success', 'success'])
    for (const event of await broken)
      expect(event).toMatchObject(AT_ONCE[event.sync === 'n03' ? 'n03' : 'n09'])
    expect(stage.runs.of(WAITS)?.events.get(waits)?.status).toBe('running')
    expect(stage.runs.of(HANGS)?.events.get(hangs)).toBeDefined()
  })

  it('the others still deliver when a sync breaks that worked before', async () => {
    await stage.log.deleteTopics([syncTopics(stage.prefix, 'n07').requests], { signal })
    const junk = { key: textKey('x'), value: new TextEncoder().encode('no Avro') }
    await stage.log.append(at(syncTopics(stage.prefix, 'n13').changes, 0), [junk], { signal })
    await people(1)
    const broken = Promise.all(Object.keys(LATER).map(run))
    await expectHealthy(1)
    for (const event of await broken) expect(event).toMatchObject(LATER[event.sync === 'n07' ? 'n07' : 'n13'])
  })

  it('a metric and one line of the log report each broken sync', async () => {
    const [detector] = services.of('change-detector')
    const metrics = await (await fetch(`${detector?.url ?? ''}/metrics`)).text()
    expect(metrics).toContain('sluice_set_aside{stage="changes",sync="n09"} 1')
    const told = services.processes
      .flatMap(({ log }) => log)
      .filter(({ msg }) => msg.includes('the sync is suspended'))
    // A wrong template fails its run before delivery meets any of these problems.
    for (const name of ['n07', 'n09', 'n13'])
      expect(told.filter(({ sync: of, level }) => of === name && level === 50).length, name).toBeGreaterThan(
        0,
      )
    expect(told.filter(({ sync: of }) => HEALTHY.includes(String(of)))).toEqual([])
    for (const { url } of services.processes) expect((await fetch(`${url}/readyz`)).status).toBe(200)
  })

  it('cancel and reset work on the broken ones, and each goes on once it is repaired', async () => {
    for (const name of [WAITS, HANGS]) {
      const open = [...(stage.runs.of(name)?.events.values() ?? [])].find(({ status }) => !isEnded(status))
      if (open === undefined) continue
      await command(name, { kind: 'cancel', run: open.runId })
      expect((await ended(name, open.runId)).status).toBe('cancelled')
    }
    await write(resources('n03').map(spec => (spec.kind === 'sync' ? mended(spec) : spec)))
    for (const name of ['n07', 'n09', 'n13'])
      expect(await ended(name, await command(name, { kind: 'reset', cause: 'reset' }))).toMatchObject({
        status: 'success',
      })
    for (const name of ['n03', 'n07', 'n09', 'n13'])
      expect(await run(name), name).toMatchObject({
        status: 'success',
        counts: { added: { delivered: ROWS } },
      })
    expect(pids()).toEqual(before)
  })

  function mended(spec: ResourceSpec): ResourceSpec {
    return parseResource(JSON.stringify(spec).replace(' | nonsense', ''))
  }
})
