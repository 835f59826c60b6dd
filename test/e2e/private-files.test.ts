/** Another user of the machine looks for rows in what a run leaves behind. */
import { chmod, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder } from './project-folder.ts'

const OPEN_TO_OTHERS = 0o077
/** The umask of most systems: everybody may read files. */
const USUAL_MASK = 0o022

let before = 0
beforeEach(() => void (before = process.umask(USUAL_MASK)))
afterEach(() => void process.umask(before))

it('a run leaves nothing that another user may read, and closes what was open', async () => {
  await using api = await startScriptedApi()
  await using folder = await projectFolder({
    files: { 'people.csv': peopleCsv('1,Ann'), 'sluice.yaml': peopleYaml() },
    env: { API_URL: api.url },
  })
  const data = join(folder.dir, '.sluice')
  const open = async (): Promise<string[]> => {
    const names = ['', ...(await readdir(data, { recursive: true }))]
    const modes = await Promise.all(
      names.map(async name => [name, (await stat(join(data, name))).mode] as const),
    )
    return modes.filter(([, mode]) => (mode & OPEN_TO_OTHERS) !== 0).map(([name]) => name)
  }
  const first = await folder.sluice('run', SYNC)
  expect([first.exitCode, first.stderr.includes('open to other users')]).toEqual([0, false])
  expect(await open()).toEqual([])

  await chmod(data, 0o755)
  await chmod(join(data, 'log.db'), 0o644)
  const second = await folder.sluice('run', SYNC)
  expect(second.exitCode).toBe(0)
  expect(second.stderr.match(/notice: .*open to other users of this machine/g)).toHaveLength(1)
  expect(await open()).toEqual([])
})
