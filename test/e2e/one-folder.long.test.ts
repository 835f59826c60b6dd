/**
 * Several commands in one folder. The first one that runs something works in it, and the others go through
 * it.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { peopleYaml } from './people-project.ts'
import { ending, sharedFolder, OTHERS, type Ended, type SharedFolder } from './one-folder.ts'

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

  it('a second run of its sync is refused, or waits for it', async () => {
    const refused = await folder.project.error('run', 'people')
    expect(refused).toMatchObject({ exitCode: 1, code: 'conflict' })
    expect(refused.message).toMatch(/^Run \w+ of `people` is running: `sluice run people --wait` waits/)
    const waiting = ending(folder.project.start('run', 'people', '--wait', '--json'))
    for (let queued = false; !queued;)
      queued = (await folder.project.runs()).some(({ status }) => status === 'queued')
    folder.release()
    const second: RunView = JSON.parse((await waiting).out)
    expect([second.status, second.triggers.added?.detected]).toEqual(['success', 0])
    expect((await working).code).toBe(0)
  })

  it('another command cancels it', async () => {
    const [run] = await folder.project.runs()
    const process = folder.project.start('cancel', run?.id ?? '', '--json')
    const cancelling = ending(process)
    // It prints a line once the server has taken the command.
    if (process.stderr !== null) await once(process.stderr, 'data')
    folder.release()
    const view: RunView = JSON.parse((await cancelling).out)
    expect([view.status, view.triggers.added?.detected]).toEqual(['cancelled', 2])
    expect([(await cancelling).code, (await working).code]).toEqual([0, 1])
  })

  it('an edit counts for a run that another command asks for', async () => {
    await folder.project.write('project.yaml', peopleYaml() + OTHERS.replace('/others/', '/newcomers/'))
    expect((await folder.project.run('others')).exitCode).toBe(0)
    expect(folder.api.requests.filter(({ url }) => url.startsWith('/newcomers/'))).toHaveLength(2)
    await folder.project.write('project.yaml', `${peopleYaml()}${OTHERS}  nonsense: 1\n`)
    expect(await folder.project.error('run', 'others')).toMatchObject({ exitCode: 2, code: 'config' })
  })
})

it('a process waits for the runs that others have asked it for', async () => {
  folder.hold('/')
  const first = ending(folder.project.start('run', 'people', '--json'))
  await folder.api.waitFor(1)
  const second = ending(folder.project.start('run', 'others', '--json'))
  await folder.api.waitFor(requests => requests.some(({ url }) => url.startsWith('/others')))
  folder.api.on({ url: '/people' }, {})
  folder.release()
  const [own, asked] = await Promise.all([first, second])
  expect([own.code, asked.code]).toEqual([0, 0])
  expect(JSON.parse(asked.out)).toMatchObject({ status: 'success' })
})

it('commands that only look do not keep each other away', async () => {
  await folder.project.run('people')
  writeFileSync(folder.socket, 'what a process that was killed may have left')
  const looks = Array.from({ length: 4 }, () => ending(folder.project.start('runs', '--json')))
  expect((await Promise.all(looks)).map(({ code, err }) => [code, err])).toEqual(looks.map(() => [0, '']))
})
