/**
 * Rows that end the process which renders them, or the one that hears of them from the API, again and again.
 * Their sync is parked, the sync beside it goes on, and no row is lost.
 *
 * The renderer has so little memory that it aborts at one large row. Delivery is killed by the API of the
 * test before it can take the answer in.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { syncsPage } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { realServices, startDistributed, type Distributed, type ServiceProcess } from '../e2e/distributed.ts'
import { manyPeople, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'

const SMALL_HEAP_MB = 80
const LARGE = `select id, case when id = 2 then repeat('x', 6000000) else name end as name from 'people.csv'`
/** Takes some twenty times the bytes of the name, for a moment. */
const TAKES_MEMORY = `method: PUT, path: '/people/{{ id }}', body: { json: '{"name":{{ row.name | split: "" | reverse | join: "-" | size }}}' }`
const PARKED = 'the sync is parked, since'

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

  async function isParked(dying: ServiceProcess, deaths: () => number): Promise<void> {
    const isTold = (): boolean =>
      dying.log.some(({ msg }) => msg.startsWith(`${PARKED} 3 processes in a row died`))
    await expect.poll(isTold, { timeout: 120_000 }).toBe(true)
    const told = deaths()
    const { syncs } = syncsPage.parse(JSON.parse((await bad.sluice('syncs', '--json')).stdout))
    const sync = syncs.find(({ name }) => name === SYNC)
    expect(sync?.state).toBe('parked')
    expect(sync?.waiting).toContainEqual(
      expect.objectContaining({ kind: 'parked', detail: expect.stringContaining(PARKED) as string }),
    )
    const metrics = await (await fetch(`${dying.url}/metrics`)).text()
    expect(metrics).toMatch(/sluice_parked\{[^}]*sync="people"[^}]*\} 3/)
    // The sync beside it is delivered while the parked one waits.
    expect(await good.run('others')).toMatchObject({
      exitCode: 0,
      view: { triggers: { added: { delivered: 3 } } },
    })
    expect(deaths()).toBeLessThanOrEqual(told + 1)
  }

  it('in the renderer, is parked, holds up no other sync, and delivers once there is more memory', async () => {
    await services.add('delivery')
    const renderer = await services.add('renderer', {}, SMALL_HEAP_MB)
    const triggers = `\n  added: { ${TAKES_MEMORY} }`
    bad = await open(manyPeople(3), peopleYaml({ sql: LARGE, triggers, sync: 'partitions: 1' }))
    good = await open(manyPeople(3), renamed(peopleYaml()))
    const supervised = supervise(renderer)
    const asked = finished(bad.start('run', SYNC, '--json'))
    await isParked(renderer, supervised.deaths)
    await supervised.end()
    await services.add('renderer')
    expect(JSON.parse((await asked).stdout)).toMatchObject({
      status: 'success',
      triggers: { added: { delivered: 3 } },
    })
  })

  it('in delivery, is parked, holds up no other sync, and delivers once the API is mended', async () => {
    await services.add('renderer')
    const delivery = await services.add('delivery')
    bad = await open(manyPeople(30), peopleYaml({ sync: 'partitions: 1' }))
    good = await open(manyPeople(3), renamed(peopleYaml()))
    let poisons = true
    api.on({ url: '/people/5' }, async () => {
      if (poisons) await delivery.kill()
      return {}
    })
    const supervised = supervise(delivery)
    const asked = finished(bad.start('run', SYNC, '--json'))
    await isParked(delivery, supervised.deaths)
    poisons = false
    expect(JSON.parse((await asked).stdout)).toMatchObject({
      status: 'success',
      triggers: { added: { delivered: 30 } },
    })
    await supervised.end()
  })
})
