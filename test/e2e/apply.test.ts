import { basename } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { applyStory, appliedRuns } from './apply.ts'
import { servedFolder } from './one-folder.ts'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

let api: ScriptedApi
beforeEach(async () => void (api = await startScriptedApi()))
afterEach(() => api[Symbol.asyncDispose]())

const files = { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ann', '2,Bob') }

async function storedSyncs(project: ProjectFolder): Promise<readonly string[]> {
  const { stdout } = await project.sluice('history', 'sync/people', '--json')
  return stdout.includes('"versions"') ? ['people'] : []
}

describe('resources that are applied', () => {
  it('in a folder where nothing is at work', async () => {
    await using project = await projectFolder({ files, env: { API_URL: api.url }, here: true })
    await applyStory(project, () => storedSyncs(project))
  })

  it('on a server, from a folder elsewhere, count from the next run on', async () => {
    await using served = await servedFolder(api, {})
    const of = ['--project', basename(served.project.dir)]
    const env = { API_URL: api.url, SLUICE_URL: served.url }
    // The source reads the files beside it, so this folder has the same rows.
    await using folder = await projectFolder({ files, env, here: true })
    await appliedRuns(folder, api, of)
  })
})
