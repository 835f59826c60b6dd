/**
 * Several commands in one folder. The first one that runs something works in it, and the others go through
 * it.
 */
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { ending, sharedFolder, type Ended, type SharedFolder } from './one-folder.ts'

let folder: SharedFolder
beforeEach(async () => {
  folder = await sharedFolder()
})
afterEach(async () => {
  await folder[Symbol.asyncDispose]()
})

describe('while a run is at work', () => {
  let working: Promise<Ended>
  beforeEach(async () => {
    folder.hold('/people')
    working = ending(folder.project.start('run', 'people', '--json'))
    await folder.api.waitFor(1)
  })

  it('other commands look back, preview and run another sync, and only the user may open the socket', async () => {
    expect((await stat(folder.socket)).mode & 0o777).toBe(0o600)
    const [run] = await folder.project.runs()
    expect(run).toMatchObject({ sync: 'people', status: 'running' })
    expect(run?.notices).toBeUndefined()
    expect(await folder.project.attempts()).toEqual([])
    expect(await folder.project.failed('people')).toEqual([])
    const preview = await folder.project.sluice('preview', 'others', '--json')
    expect(JSON.parse(preview.stdout)).toMatchObject({ counts: { added: 2, changed: 0, removed: 0 } })
    const others = await folder.project.run('others')
    expect(others).toMatchObject({ exitCode: 0, view: { sync: 'others', status: 'success' } })
    expect(await folder.project.error('runs', 'nothing')).toMatchObject({ code: 'not-found', exitCode: 2 })

    folder.release()
    expect(await working).toMatchObject({ code: 0, err: expect.any(String) })
    expect(existsSync(folder.socket)).toBe(false)
    expect((await folder.project.runs()).map(({ sync, status }) => `${sync} ${status}`).sort()).toEqual([
      'others success',
      'people success',
    ])
  })
})

it('a command whose server is killed says so with 5, and nothing is half done', async () => {
  folder.hold('/')
  const first = folder.project.start('run', 'people', '--json')
  const killed = ending(first)
  await folder.api.waitFor(1)
  const second = ending(folder.project.start('run', 'others', '--json'))
  await folder.api.waitFor(requests => requests.some(({ url }) => url.startsWith('/others')))
  // The launcher has become the process itself.
  first.kill('SIGKILL')
  await killed
  const { code, out } = await second
  expect(code).toBe(5)
  expect(JSON.parse(out)).toMatchObject({ error: { code: 'unreachable' } })
  expect(out).toContain('sluice runs')
  folder.release()

  expect(existsSync(folder.socket)).toBe(true)
  expect((await folder.project.runs()).map(({ status }) => status)).toEqual(['running', 'running'])
  await folder.nothingIsUnderWay()
  for (const sync of ['people', 'others']) expect((await folder.project.run(sync)).exitCode).toBe(0)
  expect(
    (await folder.project.runs()).filter(({ status }) => status === 'success').length,
  ).toBeGreaterThanOrEqual(2)
  for (const sync of ['people', 'others']) {
    const preview = await folder.project.sluice('preview', sync, '--json')
    expect(JSON.parse(preview.stdout)).toMatchObject({ counts: { added: 0, changed: 0, removed: 0 } })
  }
})

it('looks back at nothing after a first command that was killed while it made the log', async () => {
  await folder.project.write('.sluice/log.db', '')
  expect(await folder.project.runs()).toEqual([])
  expect(await folder.project.failed('people')).toEqual([])
  expect(await folder.project.sluice('diff', '--project', 'crm')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('to create'),
  })
  expect(await folder.project.run('people')).toMatchObject({ exitCode: 0, view: { status: 'success' } })
})

it('several syncs run one after the other, and the exit code is that of the worst', async () => {
  folder.api.on({ url: '/others/2' }, { status: 422 })
  const all = await folder.project.sluice('run', '--all', '--json')
  const views: RunView[] = JSON.parse(all.stdout)
  expect(views.map(({ sync, status }) => [sync, status])).toEqual([
    ['others', 'warning'],
    ['people', 'success'],
  ])
  expect(all.exitCode).toBe(3)
  const before = (await folder.project.runs()).length
  const unknown = await folder.project.error('run', 'people', 'otters')
  expect(unknown).toMatchObject({ exitCode: 2, message: expect.stringContaining('did you mean `others`?') })
  expect(await folder.project.runs()).toHaveLength(before)
})

it('several syncs run at once with --together, and each ends as it would alone', async () => {
  folder.hold('/')
  folder.api.on({ url: '/others/2' }, { status: 422 })
  const all = ending(folder.project.start('run', '--all', '--together', '--json'))
  await folder.api.waitFor(requests => new Set(requests.map(({ url }) => url.split('/')[1])).size === 2)
  folder.release()
  const { code, out } = await all
  const views: RunView[] = JSON.parse(out)
  expect(views.map(({ sync, status }) => [sync, status])).toEqual([
    ['others', 'warning'],
    ['people', 'success'],
  ])
  expect(code).toBe(3)
})
