/**
 * A sync that ends the detector that runs it, again and again. A `kill -9` stands for the crash, at the
 * moment at which its run has begun. After three deaths its run ends for good, the sync beside it goes on,
 * and no row is lost.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { realServices, startDistributed, type Distributed } from '../e2e/distributed.ts'
import { manyPeople, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'

/** A query that works until somebody ends it. */
const ENDLESS = `select r.range as id, 'x' as name from range(100000000000) r where r.range % 100000000007 = 1`
const PEOPLE = `select id, name from 'people.csv'`

describe.skipIf(realServices() === null)('a sync that ends its process', { timeout: 300_000 }, () => {
  let api: ScriptedApi
  let services: Distributed
  let bad: ProjectFolder
  let good: ProjectFolder

  beforeEach(async ({ onTestFailed }) => {
    api = await startScriptedApi()
    services = await startDistributed()
    onTestFailed(() => void process.stderr.write(services.logs()))
    const env = { API_URL: api.url, ...services.env }
    const open = (sql: string, rename: (yaml: string) => string): Promise<ProjectFolder> => {
      const files = { 'project.yaml': rename(peopleYaml({ sql })), 'people.csv': manyPeople(3) }
      return projectFolder({ files, env })
    }
    bad = await open(ENDLESS, yaml => yaml)
    good = await open(PEOPLE, renamed)
  })
  afterEach(async () => {
    await bad[Symbol.asyncDispose]()
    await good[Symbol.asyncDispose]()
    await services[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

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

  it('ends after three deaths, holds up no other sync, and delivers once it is mended', async () => {
    const [detector] = services.of('change-detector')
    if (detector === undefined) throw new Error('there is no detector')
    const begun = (): Promise<unknown> =>
      detector.logged(line => line.msg === 'the run has begun' && line['sync'] === SYNC)
    const asked = finished(bad.start('run', SYNC, '--json'))
    for (let death = 0; death < 3; death += 1) {
      await begun()
      await detector.kill()
      await detector.start()
    }
    const { stdout } = await asked
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('interrupted'),
    })

    // Each death ended a run, and none is queued in the place of the third.
    const over = async (): Promise<readonly string[]> => (await bad.runs()).map(({ status }) => status)
    await expect.poll(over, { timeout: 60_000 }).toEqual(['failed', 'failed', 'failed'])
    expect((await bad.runs())[0]?.error).toMatch(
      /3 processes in a row died .* no run takes the place of this one$/,
    )
    expect(await good.run('others')).toMatchObject({
      exitCode: 0,
      view: { triggers: { added: { delivered: 3 } } },
    })

    // A run that somebody asks for waits for no pause.
    await bad.write('project.yaml', peopleYaml({ sql: PEOPLE }))
    const mended = await bad.run(SYNC)
    expect(mended).toMatchObject({
      exitCode: 0,
      view: { status: 'success', triggers: { added: { delivered: 3 } } },
    })
    const again = await bad.run(SYNC)
    expect(again.view.status).toBe('success')
    expect(new Set(api.requests.map(({ url }) => url)).size).toBe(6)
  })
})
