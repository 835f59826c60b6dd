/** Two detectors want to work on one sync at the same moment. One does, and no row is lost or sent twice. */
import { describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { realServices } from '../e2e/distributed.ts'
import { manyPeople, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder } from '../e2e/project-folder.ts'
import { startPipeline } from './people-pipeline.ts'

const PEOPLE = 300
const COMMANDS = 3

describe('commands that are started at once in one project', () => {
  it('all run, one after the other, and each row is sent once', async () => {
    await using api = await startScriptedApi()
    await using project = await projectFolder({
      files: { 'project.yaml': peopleYaml(), 'people.csv': manyPeople(PEOPLE) },
      env: { API_URL: api.url },
    })
    const commands = Array.from({ length: COMMANDS }, () =>
      finished(project.start('run', SYNC, '--wait', '--json')),
    )
    for (const { exitCode, stdout } of await Promise.all(commands)) {
      const view: RunView = JSON.parse(stdout)
      expect([exitCode, view.status], stdout).toEqual([0, 'success'])
    }
    expect(new Set(api.requests.map(({ url }) => url)).size).toBe(PEOPLE)
    expect(api.requests).toHaveLength(PEOPLE)
    // A run that is asked for while another one waits is that one.
    const others = (await project.runs()).filter(({ status }) => status !== 'success')
    expect(others.filter(({ errorCode }) => errorCode !== 'conflict')).toEqual([])
  })
})

describe.skipIf(realServices() === null)('change-detectors that are started at once', () => {
  it('share out the syncs, and publish and send each row of two runs once', async () => {
    await using pipeline = await startPipeline({ people: PEOPLE, counts: { 'change-detector': 0 } })
    const { services, api, topics } = pipeline
    await pipeline.rename(1)
    const runs = [pipeline.run(), pipeline.run()]
    await Promise.all([services.add('change-detector'), services.add('change-detector')])
    const views = (await Promise.all(runs)).map(({ view }) => view)
    expect(views, services.logs()).toContainEqual(expect.objectContaining({ status: 'success' }))
    // The second command is refused if it is read before the first run has started.
    const joined = { status: 'cancelled', error: expect.stringContaining('is queued already') }
    for (const view of views)
      if (view?.status !== 'success') expect(view, services.logs()).toMatchObject(joined)
    await api.settled()
    expect(new Set(api.requests.map(({ url }) => url)).size).toBe(PEOPLE)
    expect(api.requests.length, services.logs()).toBe(PEOPLE)
    await pipeline.auditTopics()
    const changes = (await topics.records('changes'))
      .flat()
      .flatMap(({ record }) => (record?.name === 'sluice.Change' ? [record.value.key] : []))
    expect(changes).toHaveLength(PEOPLE)
    expect(new Set(changes).size).toBe(PEOPLE)
  })
})
