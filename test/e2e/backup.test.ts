/** `sluice backup` while a server is at work, and `sluice restore`. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { expect, it } from 'vitest'
import { servedFolder } from './one-folder.ts'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder } from './project-folder.ts'

it('a backup of a served folder, restored elsewhere, sends what changed since and nothing else', async () => {
  await using api = await startScriptedApi()
  await using served = await servedFolder(api, {})
  const { project } = served
  await project.run('people')
  const copy = join(project.dir, 'copy')
  const backedUp = await project.sluice('backup', copy)
  expect(backedUp.exitCode, backedUp.stderr).toBe(0)
  expect(backedUp.stdout).toContain('The key of the vault is not in it')
  expect((await readdir(copy)).sort()).toEqual(['backup.json', 'log.db', 'project'])

  const rows = peopleCsv('1,Ann', '2,Bert', '3,Cat')
  const files = { 'project.yaml': peopleYaml(), 'people.csv': rows }
  await using other = await projectFolder({ files, env: { API_URL: api.url }, here: true })
  const restored = await other.sluice('restore', copy)
  expect(restored.exitCode, restored.stderr).toBe(0)
  const before = api.requests.length
  const { view } = await other.run('people')
  expect(view.triggers).toMatchObject({ added: { delivered: 1 }, changed: { delivered: 1 } })
  expect(
    api.requests
      .slice(before)
      .map(({ url }) => url)
      .sort(),
  ).toEqual(['/people/2', '/people/3'])
  expect((await other.runs()).length).toBe(2)
})

it('refuses what would lose something, and says how', async () => {
  await using api = await startScriptedApi()
  const files = { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ann') }
  await using project = await projectFolder({ files, env: { API_URL: api.url }, here: true })
  expect((await project.error('backup', 'copy')).message).toContain('Nothing has run in')
  await project.run('people')
  await project.sluice('backup', 'copy', '--with-key')
  expect((await project.error('backup', 'copy')).message).toContain('is not empty')
  const refused = await project.error('restore', 'copy')
  expect(refused).toMatchObject({ exitCode: 1, code: 'conflict' })
  expect(refused.message).toContain('--replace')

  await project.write('people.csv', peopleCsv('1,Ann', '2,Bob'))
  await project.run('people')
  expect((await project.sluice('restore', 'copy', '--replace')).exitCode).toBe(0)
  expect(await readdir(join(project.dir, '.sluice'))).toContain('log.db.replaced')
  expect((await project.run('people')).view.triggers).toMatchObject({ added: { delivered: 1 } })

  await project.write('copy/log.db', 'no database')
  expect((await project.error('restore', 'copy', '--replace')).message).toContain('cannot be used')
  expect((await project.run('people')).view.status).toBe('success')
  await rm(join(project.dir, 'copy/backup.json'))
  expect((await project.error('restore', 'copy', '--replace')).message).toContain('cut off')
})
