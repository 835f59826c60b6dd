/**
 * Rows that end the process which renders them, or the one that hears of them from the API, again and again.
 * Each run ends by itself, the row at fault is given up in it and comes again in the next, all other rows
 * arrive, and so do those of the sync beside it.
 *
 * The renderer has so little memory that it aborts at one large row. Delivery is killed by the API of the
 * test before it can take the answer in.
 */
import type { ChildProcess } from 'node:child_process'
import { runView, type RunView } from '@sluice/contracts/api'
import { z } from 'zod'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { realServices, startDistributed, type Distributed, type ServiceProcess } from '../e2e/distributed.ts'
import { manyPeople, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'

const SMALL_HEAP_MB = 80
const FOUR = 'limits: { concurrency: 4 }'
/** Those of a process that came further are not among the three in a row. */
const MAX_DEATHS_A_ROW = 7
const LARGE = `select id, case when id = 2 then repeat('x', 6000000) else name end as name from 'people.csv'`
/** A batch that takes long is rendered in a thread, which may end in place of the process. */
const GIVEN_UP =
  /^rendering ended the process 3 times in a row$|^The templates take more memory than they have/
/** Takes some twenty times the bytes of the name, for a moment. */
const TAKES_MEMORY = `method: PUT, path: '/people/{{ id }}', body: { json: '{"name":{{ row.name | split: "" | reverse | join: "-" | size }}}' }`
const IN_BATCHES = `batch: { size: 20 }, method: PUT, path: '/batch', body: { json: '[{% for row in rows %}{"id":{{ row.id }},"name":{{ row.name | split: "" | reverse | join: "-" | size }}},{% endfor %}]' }`
/** The row that is too large for a small renderer stands among others. */
const AMONG_OTHERS = LARGE.replace('id = 2', 'id = 12')

describe.skipIf(realServices() === null)('a sync whose rows end processes', { timeout: 300_000 }, () => {
  let api: ScriptedApi
  let services: Distributed
  let bad: ProjectFolder
  let good: ProjectFolder
  const folders: ProjectFolder[] = []

  beforeEach(async ({ onTestFailed }) => {
    api = await startScriptedApi()
    services = await startDistributed({ counts: { renderer: 0, delivery: 0 } })
    onTestFailed(() => void process.stderr.write(services.logs()))
  })
  afterEach(async () => {
    for (const folder of folders.splice(0)) await folder[Symbol.asyncDispose]()
    await services[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  async function open(people: string, yaml: string): Promise<ProjectFolder> {
    const env = { API_URL: api.url, ...services.env }
    const folder = await projectFolder({ files: { 'project.yaml': yaml, 'people.csv': people }, env })
    folders.push(folder)
    return folder
  }

  /** The same project with names of its own. */
  function renamed(yaml: string): string {
    return yaml
      .replaceAll('people\n', 'others\n')
      .replaceAll('name: files', 'name: files2')
      .replaceAll('source: files', 'source: files2')
      .replaceAll('name: api', 'name: api2')
      .replaceAll('destination: api', 'destination: api2')
      .replaceAll('/people/', '/others/')
  }

  /** Starts the process again whenever it has died, until it is told to end. */
  function supervise(process: ServiceProcess): { readonly deaths: () => number; end(): Promise<void> } {
    let deaths = 0
    let isOver = false
    const watch = async (): Promise<void> => {
      for (;;) {
        await process.ended
        if (isOver) return
        deaths += 1
        process.spawn()
      }
    }
    const watching = watch()
    return {
      deaths: () => deaths,
      async end() {
        isOver = true
        await process.stop()
        await watching
      },
    }
  }

  /** A run that the processes' deaths do not keep from its end. */
  async function ended(): Promise<RunView> {
    return runView.parse(JSON.parse((await finished(bad.start('run', SYNC, '--json'))).stdout))
  }

  /** The requests that the API got for a row, or for several. */
  const sent = (): readonly string[] =>
    api.requests.filter(({ url }) => !url.startsWith('/others')).map(({ url, body }) => `${url} ${body}`)

  it('in the renderer, are given up in each run, hold up no other sync, and arrive once there is more memory', async () => {
    await services.add('delivery')
    const renderer = await services.add('renderer', {}, SMALL_HEAP_MB)
    const triggers = `\n  added: { ${TAKES_MEMORY} }`
    bad = await open(manyPeople(3), peopleYaml({ sql: LARGE, triggers, sync: 'partitions: 1' }))
    good = await open(manyPeople(3), renamed(peopleYaml()))
    const supervised = supervise(renderer)
    const asked = ended()
    expect(await good.run('others')).toMatchObject({
      exitCode: 0,
      view: { triggers: { added: { delivered: 3 } } },
    })
    expect(await asked).toMatchObject({
      status: 'warning',
      triggers: { added: { detected: 3, delivered: 2, rejected: 1 } },
    })
    const deaths = supervised.deaths()
    expect(deaths).toBeLessThanOrEqual(MAX_DEATHS_A_ROW)
    expect(await bad.failed(SYNC)).toMatchObject([
      { key: '2', outcome: 'rejected', error: expect.stringMatching(GIVEN_UP) as string },
    ])
    // The next run tries it again, and comes to its end as well.
    expect(await ended()).toMatchObject({
      status: 'warning',
      triggers: { added: { detected: 1, rejected: 1 } },
    })
    expect(supervised.deaths()).toBeLessThanOrEqual(deaths + MAX_DEATHS_A_ROW)
    await supervised.end()
    await services.add('renderer')
    expect(await ended()).toMatchObject({ status: 'success', triggers: { added: { delivered: 1 } } })
    expect(sent().map(each => each.split(' ')[0])).toEqual(['/people/1', '/people/3', '/people/2'])
  })

  it('in a batch for the renderer, are found, and the other rows of the batch arrive', async () => {
    await services.add('delivery')
    const supervised = supervise(await services.add('renderer', {}, SMALL_HEAP_MB))
    const triggers = `\n  added: { ${IN_BATCHES} }`
    bad = await open(manyPeople(50), peopleYaml({ sql: AMONG_OTHERS, triggers, sync: 'partitions: 1' }))
    expect(await ended()).toMatchObject({
      status: 'warning',
      triggers: { added: { detected: 50, delivered: 49, rejected: 1 } },
    })
    expect(await bad.failed(SYNC)).toMatchObject([{ key: '12', outcome: 'rejected' }])
    const ids = api.requests.flatMap(({ body }) =>
      z.array(z.object({ id: z.number() })).parse(JSON.parse(body)),
    )
    const wanted = Array.from({ length: 50 }, (_, index) => index + 1).filter(id => id !== 12)
    expect(ids.map(({ id }) => id).toSorted((one, other) => one - other)).toEqual(wanted)
    await supervised.end()
  })

  it('in delivery, are unknown in each run, which sends all others, and arrive once the API is mended', async () => {
    await services.add('renderer')
    const delivery = await services.add('delivery')
    bad = await open(manyPeople(30), peopleYaml({ destination: FOUR, sync: 'partitions: 1\ntimeout: 2s' }))
    let poisons = true
    api.on({ url: '/people/5' }, async () => {
      if (poisons) await delivery.kill()
      return {}
    })
    const supervised = supervise(delivery)
    expect(await ended()).toMatchObject({
      status: 'warning',
      triggers: { added: { detected: 30, delivered: 29, unknown: 1 } },
    })
    const before = sent().filter(each => each.startsWith('/people/5 ')).length
    expect(supervised.deaths()).toBe(before)
    expect(await bad.failed(SYNC)).toMatchObject([
      {
        key: '5',
        outcome: 'unknown',
        error: expect.stringMatching(/ended the process 3 times in a row/) as string,
      },
    ])
    expect(new Set(api.requests.map(({ url }) => url)).size).toBe(30)
    poisons = false
    expect(await ended()).toMatchObject({
      status: 'success',
      triggers: { added: { detected: 1, delivered: 1 } },
    })
    await supervised.end()
  })
})

describe('a row that ends the command', { timeout: 300_000 }, () => {
  it('is given up after some commands that it has ended, and all others have arrived', async () => {
    await using api = await startScriptedApi()
    const env = { API_URL: api.url }
    const files = {
      'project.yaml': peopleYaml({ destination: FOUR, sync: 'timeout: 2s' }),
      'people.csv': manyPeople(30),
    }
    await using folder = await projectFolder({ files, env })
    let running: ChildProcess | null = null
    api.on({ url: '/people/5' }, () => {
      running?.kill('SIGKILL')
      return {}
    })
    for (let deaths = 0; (await folder.failed(SYNC)).length === 0; deaths += 1) {
      expect(deaths).toBeLessThan(14)
      running = folder.start('run', SYNC, '--json')
      await finished(running)
    }
    expect(await folder.failed(SYNC)).toMatchObject([
      {
        ...{ key: '5', outcome: 'unknown' },
        error: expect.stringMatching(/ended the process 3 times in a row/) as string,
      },
    ])
    expect(new Set(api.requests.map(({ url }) => url)).size).toBe(30)
    const delivered = (await folder.runs()).map(({ triggers }) => triggers['added']?.delivered ?? 0)
    expect(Math.max(...delivered)).toBe(29)
  })
})
