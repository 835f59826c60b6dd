import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { realServices, startDistributed } from '../e2e/distributed.ts'
import { SYNC } from '../e2e/people-project.ts'
import { projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'
import { execute, LIMIT_KB, mount, project, receiving, runLimited } from './full-disk.ts'

const received = receiving()

describe('an embedded run on a disk that is full', () => {
  let folder: ProjectFolder
  beforeEach(async () => {
    folder = await projectFolder({ files: { 'project.yaml': project(100) }, env: { API_URL: received.url } })
  })
  afterEach(() => folder[Symbol.asyncDispose]())

  it('fails while it reads the model or brings its state up to date, and loses nothing', async () => {
    expect(await folder.run(SYNC)).toMatchObject({ exitCode: 0 })
    await folder.write('project.yaml', project(15_000))
    const exporting = await runLimited(folder)
    expect(exporting).toMatchObject({ exitCode: 1, printed: { status: 'failed', rowsRead: 0 } })
    expect(exporting.printed.error).toContain(
      `The rows of model people cannot be written to ${folder.dir}/.sluice/tmp/people.`,
    )
    expect(exporting.printed.error).toContain('Make room on that disk')
    expect(await readdir(join(folder.dir, '.sluice/tmp'))).toEqual([])
    received.expectSentOnce(100)

    const free = await folder.run(SYNC)
    expect(free).toMatchObject({ exitCode: 0, view: { triggers: { added: { delivered: 14_900 } } } })
    received.expectSentOnce(15_000)

    const feeding = await runLimited(folder)
    expect(feeding).toMatchObject({ exitCode: 1, printed: { status: 'failed' } })
    expect(feeding.printed.error).toContain(`The delivered state ${folder.dir}/.sluice/state/people.`)
    expect(feeding.printed.error).toContain('Make room on that disk')
    const again = await folder.run(SYNC)
    expect(again).toMatchObject({ exitCode: 0, view: { triggers: { added: { detected: 0 } } } })
    received.expectSentOnce(15_000)
  })

  it('ends with a message whenever a small disk is full, and goes on once it is larger', async ({ skip }) => {
    const home = join(folder.dir, '.sluice')
    await mkdir(home)
    await folder.write('project.yaml', project(0, 15_000))
    const mounted = await mount('-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', home)
    if (!mounted) skip('no disk can be mounted here')
    try {
      for (const size of ['4k', '400k', '1m', '2m']) {
        await mount('-o', `remount,size=${size}`, home)
        const { exitCode, stdout } = await folder.sluice('run', SYNC, '--json')
        expect(exitCode, size).toBe(1)
        expect(stdout, size).toContain(`${home}/`)
        expect(stdout, size).toMatch(/no space left|disk is full/i)
      }
      await mount('-o', 'remount,size=200m', home)
      expect(await folder.run(SYNC)).toMatchObject({ exitCode: 0, view: { status: 'success' } })
      received.expectSent(15_000)
    } finally {
      await execute('umount', ['-l', home])
    }
  })
})

describe.skipIf(realServices() === null)('a change-detector on a disk that is full', () => {
  it('fails its run, lives on, and sends the due rows once there is space', async () => {
    await using services = await startDistributed({ env: { API_URL: received.url } })
    await using folder = await projectFolder({
      files: { 'project.yaml': project(100) },
      env: { API_URL: received.url, ...services.env },
    })
    const [detector] = services.of('change-detector')
    if (detector === undefined) throw new Error('there is no change-detector')
    const { pid } = detector
    expect(await folder.run(SYNC), services.logs()).toMatchObject({ exitCode: 0 })
    await folder.write('project.yaml', project(15_000))
    const limitFiles = (kb: string): Promise<unknown> =>
      execute('prlimit', [`--pid=${pid}`, `--fsize=${kb}:`])
    await limitFiles(`${LIMIT_KB * 1024}`)
    const failed = await folder.run(SYNC)
    expect(failed, services.logs()).toMatchObject({ exitCode: 1, view: { status: 'failed' } })
    expect(failed.view.error).toContain(`${detector.dataDir}/tmp/people.`)
    await limitFiles('unlimited')
    expect(await folder.run(SYNC), services.logs()).toMatchObject({ exitCode: 0 })
    received.expectSentOnce(15_000)
    expect(detector.pid).toBe(pid)
  })
})
