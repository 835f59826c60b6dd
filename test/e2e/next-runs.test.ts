/** `sluice diff --run`: the next runs as Markdown, with the resources of the folder. */
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { expect, it } from 'vitest'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder } from './project-folder.ts'

it('shows what an edit of a row and of a template would send, and sends nothing', async () => {
  await using api = await startScriptedApi()
  const files = { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ann', '2,Bob') }
  await using project = await projectFolder({ files, env: { API_URL: api.url }, here: true })
  expect((await project.run('people')).view.status).toBe('success')
  const sent = api.requests.length
  await project.write('people.csv', peopleCsv('1,Ann | <b>`x`', '2,Bob'))
  await project.write('project.yaml', peopleYaml().replace('/people/', '/persons/'))

  const { exitCode, stdout } = await project.sluice('diff', '--run')
  expect(exitCode).toBe(0)
  expect(stdout).toContain('| sync `people` | changed |')
  expect(stdout).toContain('| `people` | 0 | 1 | 0 | 1 |')
  expect(stdout).toMatch(/<summary><code>\w+ http:\S+\/persons\/1<\/code> · changed, 1 row<\/summary>/)
  expect(stdout).toContain('Ann | <b>`x`')
  expect(api.requests).toHaveLength(sent)

  const json = await project.sluice('diff', '--run', '--json')
  expect(JSON.parse(json.stdout)).toMatchObject({
    changes: [{ kind: 'sync', name: 'people', action: 'update' }],
    runs: [{ sync: 'people', counts: { added: 0, changed: 1, removed: 0 }, requests: 1 }],
  })
})

it('says of which sync the next run cannot be foreseen, and exits with the code of its error', async () => {
  const files = { 'project.yaml': peopleYaml() }
  await using project = await projectFolder({ files, env: { API_URL: 'http://127.0.0.1:9' }, here: true })
  const { exitCode, stdout } = await project.sluice('diff', '--run')
  expect(exitCode).toBe(2)
  expect(stdout).toContain('| `people` |  |  |  | cannot be foreseen |')
  expect(stdout).toContain('people.csv')
})
