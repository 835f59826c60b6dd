/**
 * Environments as a user meets them: `--env NAME` takes the fields of `sluice.NAME.yaml`, and each
 * environment has a state of its own. Two APIs say what each of them has received.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runCli } from '@sluice/cli/run-cli'
import type { FailedPage, RunsPage, RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

describe('environments', () => {
  let dev: ScriptedApi
  let prod: ScriptedApi
  let project: ProjectFolder

  beforeEach(async () => {
    dev = await startScriptedApi()
    prod = await startScriptedApi()
    project = await projectFolder({
      files: {
        'sluice.yaml': peopleYaml({}),
        'sluice.dev.yaml': `kind: environment\nvariables: { API_URL: "${dev.url}" }\n`,
        'sluice.prod.yaml': `kind: environment\ndestinations: { api: { baseUrl: "${prod.url}" } }\n`,
        'people.csv': manyPeople(3),
      },
      env: {},
      here: true,
    })
  })
  afterEach(async () => {
    await project[Symbol.asyncDispose]()
    await dev[Symbol.asyncDispose]()
    await prod[Symbol.asyncDispose]()
  })

  const sentTo = (api: ScriptedApi): readonly string[] => api.requests.map(({ url }) => url).sort()
  const ALL = [1, 2, 3].map(id => `/people/${id}`)
  const json = async <View>(...args: readonly string[]): Promise<View> => {
    const { stdout, stderr } = await project.sluice(...args, '--json')
    try {
      return JSON.parse(stdout) as View
    } catch {
      throw new Error(`no JSON: ${stdout}${stderr}`)
    }
  }
  const run = (env: string): Promise<RunView> => json('run', SYNC, '--env', env)
  const runsOf = async (env: string): Promise<readonly string[]> =>
    (await json<RunsPage>('runs', '--env', env)).runs.map(({ id }) => id)
  const failedIn = async (env: string): Promise<number> =>
    (await json<FailedPage>('failed', SYNC, '--env', env)).rows.length

  it('each have a state of their own: a run in one sends nothing of it to the other', async () => {
    const first = await run('dev')
    expect(first).toMatchObject({ status: 'success', triggers: { added: { delivered: 3 } } })
    expect(sentTo(dev)).toEqual(ALL)
    expect(sentTo(prod)).toEqual([])
    const second = await run('prod')
    expect(second).toMatchObject({ status: 'success', triggers: { added: { delivered: 3 } } })
    expect(sentTo(prod)).toEqual(ALL)
    expect(sentTo(dev)).toEqual(ALL)
    await run('dev')
    await run('prod')
    expect([sentTo(dev), sentTo(prod)]).toEqual([ALL, ALL])
    expect(await runsOf('dev')).toContain(first.id)
    expect(await runsOf('prod')).toContain(second.id)
    expect(await runsOf('prod')).not.toContain(first.id)
    for (const env of ['dev', 'prod'])
      expect(existsSync(join(project.dir, '.sluice', 'env', env, 'log.db'))).toBe(true)
    expect(existsSync(join(project.dir, '.sluice', 'log.db'))).toBe(false)
  })

  it('have failed rows of their own, and a retry in one is none in the other', async () => {
    for (const api of [dev, prod]) api.on({}, () => ({ status: 422 }))
    expect((await run('dev')).status).not.toBe('success')
    expect((await run('prod')).status).not.toBe('success')
    const sent = prod.requests.length
    dev.on({}, () => ({ status: 200 }))
    expect(await json('retry', SYNC, '--env', 'dev')).toMatchObject({ status: 'success' })
    expect([await failedIn('dev'), await failedIn('prod')]).toEqual([0, 3])
    expect(prod.requests).toHaveLength(sent)
  })

  it('are shown, and named in hints', async () => {
    expect(await json('validate', '--env', 'prod')).toMatchObject({ ok: true, environment: 'prod' })
    const texts = await Promise.all(
      [['validate'], ['syncs'], ['doctor']].map(async args => {
        const { stdout } = await project.sluice(...args, '--env', 'prod')
        return stdout
      }),
    )
    for (const text of texts) expect(text).toMatch(/environment\s+prod/)
    expect(texts[0]).toContain(`--env prod run ${SYNC}`)
    const { stdout } = await project.sluice('run', SYNC, '--env', 'prod')
    expect(stdout).toMatch(/^environment prod\n/)
    let listed = ''
    await runCli({
      argv: ['completion', 'candidates', '--', '--dir', project.dir, 'run', '--env', ''],
      cwd: '/',
      env: {},
      stdout: { write: text => (listed += text) },
      stderr: process.stderr,
      signal: new AbortController().signal,
    })
    expect(listed).toBe('dev\nprod\n')
  })

  it.each([['run', SYNC], ['secret', 'set', 'token'], ['runs'], ['doctor']])(
    'have to be there: %s',
    async (...args) => {
      const { exitCode, stderr, stdout } = await project.sluice(...args, '--env', 'prdo')
      expect(exitCode, stdout).toBe(2)
      expect(stderr).toContain('did you mean `prod`?')
      expect(existsSync(join(project.dir, '.sluice'))).toBe(false)
    },
  )
})
