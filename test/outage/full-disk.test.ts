/**
 * A full disk, for each file that a run writes: the model's rows, the delivered state, the embedded log. The
 * run fails and names the file, and nothing is lost. Once there is space again, the next run sends exactly
 * the rows that are due.
 *
 * A size limit on files acts like a full disk on any machine. Where the test can mount a small disk, it also
 * uses that.
 */
import { execFile } from 'node:child_process'
import { mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ErrorBody, RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { realServices, startDistributed } from '../e2e/distributed.ts'
import { peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'

const execute = promisify(execFile)

const LIMIT_KB = 1500
const IDS = `'[{% for row in rows %}{{ row.id }},{% endfor %}]'`
const TRIGGERS = `
  added: { method: PUT, path: /people, batch: { size: 500 }, body: { json: ${IDS} } }`

/** This many people with names of 128 letters that do not compress, and then some with short names. */
function project(people: number, namesakes = 0): string {
  const random = [0, 1, 2, 3].map(i => `md5((id + ${i})::varchar)`).join(' || ')
  const sql = `select id, case when id < ${people} then ${random} else 'x' end as name from range(${people + namesakes}) people(id)`
  return peopleYaml({ sql, triggers: TRIGGERS })
}

let api: ScriptedApi
beforeEach(async () => {
  api = await startScriptedApi()
})
afterEach(() => api[Symbol.asyncDispose]())

/** The ids of all rows that were sent, in order. */
function idsSent(): readonly number[] {
  return api.requests.flatMap(({ body }) => {
    const ids: readonly number[] = JSON.parse(body)
    return ids
  })
}

function expectSentOnce(people: number): void {
  const ids = idsSent()
  expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: people }, (_, id) => id))
}

/**
 * Expects that all rows were sent. A row of unknown outcome was sent again, with the same idempotency key.
 */
function expectSent(people: number): void {
  expect(new Set(idsSent()).size).toBe(people)
  const keys = new Map<string, Set<string>>()
  for (const { body, headers } of api.requests)
    keys.set(body, (keys.get(body) ?? new Set()).add(headers['idempotency-key'] ?? 'none'))
  for (const [body, used] of keys) expect(used.size, body.slice(0, 40)).toBe(1)
}

async function runLimited(
  folder: ProjectFolder,
): Promise<{ readonly exitCode: number | null; readonly printed: RunView & ErrorBody }> {
  const { exitCode, stdout } = await finished(folder.startLimited(LIMIT_KB, 'run', SYNC, '--json'))
  const printed: RunView & ErrorBody = JSON.parse(stdout)
  return { exitCode, printed }
}

describe('an embedded run on a disk that is full', () => {
  let folder: ProjectFolder
  beforeEach(async () => {
    folder = await projectFolder({ files: { 'project.yaml': project(100) }, env: { API_URL: api.url } })
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
    expectSentOnce(100)

    const free = await folder.run(SYNC)
    expect(free).toMatchObject({ exitCode: 0, view: { triggers: { added: { delivered: 14_900 } } } })
    expectSentOnce(15_000)

    const feeding = await runLimited(folder)
    expect(feeding).toMatchObject({ exitCode: 1, printed: { status: 'failed' } })
    expect(feeding.printed.error).toContain(`The delivered state ${folder.dir}/.sluice/state/people.`)
    expect(feeding.printed.error).toContain('Make room on that disk')
    const again = await folder.run(SYNC)
    expect(again).toMatchObject({ exitCode: 0, view: { triggers: { added: { detected: 0 } } } })
    expectSentOnce(15_000)
  })

  it('ends with a message if the log cannot grow, and the next run sends the rest', async () => {
    await folder.write('project.yaml', project(0, 15_000))
    const full = await runLimited(folder)
    expect(full).toMatchObject({ exitCode: 1, printed: { error: { code: 'disk' } } })
    expect(full.printed.error.message).toContain(`${folder.dir}/.sluice/log.db cannot be`)
    expect(await folder.run(SYNC)).toMatchObject({ exitCode: 0, view: { status: 'success' } })
    expectSent(15_000)
  })

  it('ends with a message whenever a small disk is full, and goes on once it is larger', async ({ skip }) => {
    const home = join(folder.dir, '.sluice')
    await mkdir(home)
    await folder.write('project.yaml', project(0, 15_000))
    const mounted = await mount('-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', home)
    if (!mounted) skip('no disk can be mounted here')
    try {
      for (const size of ['4k', '400k', '2m']) {
        await mount('-o', `remount,size=${size}`, home)
        const { exitCode, stdout } = await folder.sluice('run', SYNC, '--json')
        expect(exitCode, size).toBe(1)
        expect(stdout, size).toContain(`${home}/`)
        expect(stdout, size).toMatch(/No space left|disk is full/)
      }
      await mount('-o', 'remount,size=200m', home)
      expect(await folder.run(SYNC)).toMatchObject({ exitCode: 0, view: { status: 'success' } })
      expectSent(15_000)
    } finally {
      await execute('umount', ['-l', home])
    }
  })
})

describe('an embedded run whose limits have no room', () => {
  it('ends with a message, and goes on once there is room', async ({ skip }) => {
    await using folder = await projectFolder({
      files: { 'project.yaml': project(0, 300) },
      env: { API_URL: api.url },
    })
    await using small = await projectFolder({ env: {} })
    if (!(await mount('-t', 'tmpfs', '-o', 'size=48k', 'tmpfs', small.dir)))
      skip('no disk can be mounted here')
    try {
      await mkdir(join(folder.dir, '.sluice'))
      await symlink(join(small.dir, 'limits.db'), join(folder.dir, '.sluice/limits.db'))
      const { exitCode, stdout } = await folder.sluice('run', SYNC, '--json')
      expect(exitCode).toBe(1)
      expect(stdout).toContain('.sluice/limits.db: database or disk is full. Make room on that disk')
      await mount('-o', 'remount,size=10m', small.dir)
      expect(await folder.run(SYNC)).toMatchObject({ exitCode: 0, view: { status: 'success' } })
      expectSent(300)
    } finally {
      await execute('umount', ['-l', small.dir])
    }
  })
})

describe.skipIf(realServices() === null)('a change-detector on a disk that is full', () => {
  it('fails its run, lives on, and sends the due rows once there is space', async () => {
    await using services = await startDistributed({ env: { API_URL: api.url } })
    await using folder = await projectFolder({
      files: { 'project.yaml': project(100) },
      env: { API_URL: api.url, ...services.env },
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
    expectSentOnce(15_000)
    expect(detector.pid).toBe(pid)
  })
})

/** True if the user who runs the tests could do it. */
function mount(...args: readonly string[]): Promise<boolean> {
  return execute('mount', [...args]).then(
    () => true,
    () => false,
  )
}
