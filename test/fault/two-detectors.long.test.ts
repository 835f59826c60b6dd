/** Two detectors want to work on one sync at the same moment. One does, and no row is lost or sent twice. */
import { describe, expect, it } from 'vitest'
import type { ErrorBody, RunView } from '@sluice/contracts/api'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { realServices } from '../e2e/distributed.ts'
import { manyPeople, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder } from '../e2e/project-folder.ts'
import { startPipeline } from './people-pipeline.ts'

const PEOPLE = 300
const COMMANDS = 3

describe('commands that are started at once in one project', () => {
  it('are refused except one, with the process that has it, and that one sends each row once', async () => {
    await using api = await startScriptedApi()
    await using project = await projectFolder({
      files: { 'project.yaml': peopleYaml(), 'people.csv': manyPeople(PEOPLE) },
      env: { API_URL: api.url },
    })
    // The command that has the project keeps it until all others have their answer.
    const answers = Promise.withResolvers<Record<string, never>>()
    api.on({}, () => answers.promise)
    let refused = 0
    const commands = Array.from({ length: COMMANDS }, async () => {
      const child = project.start('run', SYNC, '--json')
      const ended = await finished(child)
      refused += 1
      if (refused === COMMANDS - 1) answers.resolve({})
      return { ...ended, pid: child.pid }
    })
    const ended = await Promise.all(commands)
    expect(ended.filter(({ exitCode }) => exitCode === 0)).toHaveLength(1)
    expect(ended.filter(({ exitCode }) => exitCode === 1)).toHaveLength(COMMANDS - 1)
    for (const { exitCode, stdout } of ended) {
      if (exitCode === 0) {
        const view: RunView = JSON.parse(stdout)
        expect(view).toMatchObject({ status: 'success', triggers: { added: { delivered: PEOPLE } } })
      } else {
        const { error }: ErrorBody = JSON.parse(stdout)
        expect(error.code).toBe('conflict')
        expect(error.message).toMatch(
          /\.sluice\/log\.db is in use by (process \d+|another process); only one process at a time may work with it/,
        )
      }
    }
    expect(new Set(api.requests.map(({ url }) => url)).size).toBe(PEOPLE)
    expect(api.requests).toHaveLength(PEOPLE)
    expect(await project.runs()).toMatchObject([{ status: 'success' }])
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
