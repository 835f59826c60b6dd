/** The `defaults` of a project, from its file to what is sent and stored. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { changesOf } from './apply.ts'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder } from './project-folder.ts'

let api: ScriptedApi
beforeEach(async () => void (api = await startScriptedApi()))
afterEach(() => api[Symbol.asyncDispose]())

const settings = (defaults: string) => `kind: project\nname: crm\ndefaults:\n  ${defaults}\n`

it('defaults of a project hold for runs, and are stored with each sync', async () => {
  await using project = await projectFolder({
    files: {
      'project.yaml': peopleYaml(),
      'people.csv': peopleCsv('1,Ann'),
      'sluice.yaml': settings('firstRun: skip-existing'),
    },
    env: { API_URL: api.url },
    here: true,
  })
  expect(await project.sluice('validate')).toMatchObject({ exitCode: 0, stderr: '' })
  expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
  expect(api.requests).toHaveLength(0)

  await changesOf(project, 'apply')
  await project.write('sluice.yaml', settings('timeout: 7s'))
  const changed = [`update sync/${SYNC} firstRun timeout`]
  expect(await changesOf(project, 'diff')).toEqual(changed)
  expect(await changesOf(project, 'apply')).toEqual(changed)
  await project.write('project.yaml', peopleYaml({ sync: 'timeout: 30s' }))
  expect(await changesOf(project, 'diff')).toEqual([`update sync/${SYNC} timeout`])

  await project.write('sluice.yaml', settings('timeuot: 7s'))
  const place = { file: 'sluice.yaml', line: 4, column: 3, field: 'defaults.timeuot' }
  for (const command of [['validate'], ['run', SYNC], ['preview', SYNC], ['diff']])
    expect(await project.error(...command)).toMatchObject({ exitCode: 2, code: 'config', details: [place] })
})
