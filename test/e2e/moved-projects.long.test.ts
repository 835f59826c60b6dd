/** Whose the resources are that a folder keeps, or that several folders give to one server. */
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

let api: ScriptedApi
let above: string
beforeEach(async () => {
  api = await startScriptedApi()
  above = await mkdtemp(join(tmpdir(), 'sluice-moved-'))
})
afterEach(async () => {
  await api[Symbol.asyncDispose]()
  await rm(above, { recursive: true, force: true })
})

const files = { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ann', '2,Bob') }
const folderOf = (more: Readonly<Record<string, string>> = {}): Promise<ProjectFolder> =>
  projectFolder({ files: { ...files, ...more }, env: { API_URL: api.url }, here: true })
/** The folder with everything in it, somewhere else. */
async function moved(folder: ProjectFolder): Promise<ProjectFolder> {
  const there = await projectFolder({ env: { API_URL: api.url }, here: true })
  await rm(there.dir, { recursive: true })
  await rename(folder.dir, there.dir)
  return there
}
const NOTHING = { added: { detected: 0 }, changed: { detected: 0 }, removed: { detected: 0 } }

describe('a folder', () => {
  it('that was moved, or has another name in sluice.yaml, is still the same project', async () => {
    await using first = await folderOf()
    expect((await first.run('people')).exitCode).toBe(0)
    await using second = await moved(first)
    expect((await second.run('people')).view).toMatchObject({ status: 'success', triggers: NOTHING })
    await second.write('sluice.yaml', 'kind: project\nname: another\n')
    await second.write('project.yaml', peopleYaml({ sync: 'timeout: 7s' }))
    const diff = await second.sluice('diff')
    expect([diff.exitCode, diff.stdout]).toEqual([0, expect.stringContaining('30s → 7s')])
    expect((await second.run('people')).view).toMatchObject({ status: 'success', triggers: NOTHING })
    expect((await second.sluice('apply', '--prune')).exitCode).toBe(0)
    expect(api.requests).toHaveLength(2)
  })

  it('of an earlier version, which may have been moved before, makes what is in it its own', async () => {
    await using first = await folderOf()
    expect((await first.run('people')).exitCode).toBe(0)
    await rm(join(first.dir, '.sluice/project'))
    await using second = await moved(first)
    expect((await second.run('people')).view).toMatchObject({ status: 'success', triggers: NOTHING })
    expect((await second.sluice('apply', '--prune')).exitCode).toBe(0)
  })

  it('does not run over what somebody has changed on the server', async () => {
    await using folder = await folderOf()
    expect((await folder.run('people')).exitCode).toBe(0)
    await folder.write('project.yaml', peopleYaml({ sync: 'timeout: 7s' }))
    expect((await folder.run('people')).exitCode).toBe(0)
    expect((await folder.sluice('rollback', 'sync/people', '--take-over')).exitCode).toBe(0)
    const refused = await folder.error('run', 'people')
    expect(refused).toMatchObject({
      ...{ exitCode: 1, code: 'conflict' },
      message: expect.stringMatching(/^The sync `people` was written on the server.*apply --take-over/),
    })
    expect((await folder.error('preview', 'people')).code).toBe('conflict')
    expect((await folder.sluice('apply', '--take-over')).exitCode).toBe(0)
    expect((await folder.run('people')).exitCode).toBe(0)
    expect(api.requests).toHaveLength(2)
  })

  it('cancels a run though its sync was changed on the server: that cannot wait', async () => {
    await using folder = await folderOf()
    expect((await folder.run('people')).exitCode).toBe(0)
    const yaml = peopleYaml({ sync: 'timeout: 7s' }).replace('${API_URL}', `${api.url}/v2`)
    await folder.write('project.yaml', yaml)
    const { view: held } = await folder.run('people')
    expect(held.status).toBe('held')
    expect((await folder.sluice('rollback', 'sync/people', '--take-over')).exitCode).toBe(0)
    expect((await folder.error('run', 'people')).code).toBe('conflict')
    const { exitCode, stdout } = await folder.sluice('cancel', held.id, '--json')
    expect([exitCode, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ status: 'cancelled' })])
  })
})
