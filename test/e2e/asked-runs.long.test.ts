import { describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { askedRunSuite } from './asked-runs.ts'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { distributedProfiles, embeddedProfile } from './profiles.ts'
import { finished } from './project-folder.ts'

askedRunSuite(embeddedProfile)

describe.for(distributedProfiles())('a run that waits for a secret, $name,', profile => {
  it('is ended by a cancel, and its rows are sent by the next run', async () => {
    await using api = await startScriptedApi()
    const files = {
      'project.yaml': peopleYaml({ destination: "headers: { X-Key: '${secret:not-there}' }" }),
      'people.csv': peopleCsv('1,Ann'),
    }
    await using opened = await profile.open({ files, env: { API_URL: api.url } })
    const { project } = opened
    const running = finished(project.start('run', SYNC, '--json'))
    let found: RunView | undefined
    // Each look starts a process, so this is not a busy loop.
    while ((found?.triggers.added?.detected ?? 0) === 0) [found] = await project.runs()
    const { exitCode, stdout } = await project.sluice('cancel', found?.id ?? '', '--json')
    expect(exitCode, opened.logs()).toBe(0)
    const unsent = { status: 'cancelled', triggers: { added: { detected: 1, unsent: 1 } } }
    expect(JSON.parse(stdout)).toMatchObject(unsent)
    expect((await running).exitCode).toBe(1)
    expect(api.requests).toEqual([])

    await project.write('project.yaml', peopleYaml())
    const next = await project.run(SYNC)
    expect(next).toMatchObject({ exitCode: 0, view: { triggers: { added: { delivered: 1 } } } })
  })
})
