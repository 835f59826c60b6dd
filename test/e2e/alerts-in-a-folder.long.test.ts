/** Alerts of a folder: what its commands tell, and what people see of it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { alertsView, type AlertNotice, type AlertView } from '@sluice/contracts/specs/alert-views'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { servedFolder } from './one-folder.ts'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const HOOK = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const ALERT = `---
kind: alert
name: team
syncs: all
when: [run-failed, rows-failed: { share: 0.01 }, silent: { noSuccessFor: 1d }, auth-failing]
to: { webhook: { url: "\${HOOK_URL}/hook", secret: "\${secret:hook}" } }
`

let api: ScriptedApi
let hook: ScriptedApi
let project: ProjectFolder
beforeAll(async () => {
  api = await startScriptedApi()
  hook = await startScriptedApi()
})
afterAll(async () => {
  await api[Symbol.asyncDispose]()
  await hook[Symbol.asyncDispose]()
})
beforeEach(() => {
  api.reset()
  hook.reset()
})

const env = (): { readonly [name: string]: string } => ({
  ...{ API_URL: api.url, HOOK_URL: hook.url, SLUICE_SECRET_HOOK: HOOK },
  SLUICE_PUBLIC_URL: 'https://sluice.example.com/',
})
const files = { 'project.yaml': peopleYaml() + ALERT, 'people.csv': manyPeople(3) }

function told(): AlertNotice[] {
  return hook.requests.map(({ body }) => {
    const { data }: { readonly data: AlertNotice } = JSON.parse(body)
    return data
  })
}
const brief = (): string[] => told().map(({ condition, state }) => `${String(condition)} ${state}`)

async function alertOf(of: ProjectFolder): Promise<AlertView | undefined> {
  const { stdout } = await of.sluice('alerts', '--json')
  return alertsView.parse(JSON.parse(stdout)).alerts[0]
}

describe('`sluice run`', () => {
  it('tells what its run caused before it ends, and the next one the recovery', async () => {
    project = await projectFolder({ files, env: env(), here: true })
    await using _removed = project
    expect(await alertOf(project)).toMatchObject({ name: 'team', state: 'unwatched', firing: [] })
    api.on({ url: '/people/2' }, { status: 401, body: 'who are you?' })
    const { view } = await project.run(SYNC)
    expect(view.status).toBe('warning')
    expect(brief()).toEqual(['rows-failed firing', 'auth-failing firing'])
    const [notice] = told()
    expect(notice).toMatchObject({
      title: 'people: rows did not arrive',
      text: '1 of 3 rows did not arrive: 33 %.',
      run: { id: view.id, detected: 3, delivered: 2, notDelivered: 1 },
      errors: [{ rows: 1, key: '2', message: expect.stringContaining('who are you?') as string }],
      link: `https://sluice.example.com/runs/${view.id}`,
    })
    expect(await alertOf(project)).toMatchObject({ state: 'firing', undelivered: null })
    await project.run(SYNC)
    expect(hook.requests).toHaveLength(2)
    api.reset()
    await project.run(SYNC)
    expect(brief().slice(2)).toEqual(['rows-failed recovered', 'auth-failing recovered'])
    const { stdout } = await project.sluice('alerts')
    expect(stdout).toMatch(/^team +ok +all +webhook http:\/\/127\.0\.0\.1:\d+ +\d{4}-/m)
  })

  it('leaves a notice that nobody takes to the next command, and shows why', async () => {
    project = await projectFolder({ files, env: env(), here: true })
    await using _removed = project
    hook.on({}, { status: 500, body: `no ${HOOK}` }, { times: 1 })
    api.on({}, { status: 500 })
    await project.run(SYNC)
    expect(await alertOf(project)).toMatchObject({
      state: 'firing',
      undelivered: { notices: 1, tries: 1, error: 'HTTP 500: no ***' },
    })
    const { stdout } = await project.sluice('alerts')
    expect(stdout).toMatch(/1 notice not sent since .* after 1 attempt: HTTP 500: no \*\*\*\. Next attempt: /)
  })
})

describe('`sluice alerts test`', () => {
  it('tells a test, and says why it could not', async () => {
    project = await projectFolder({ files, env: env(), here: true })
    await using _removed = project
    expect(await project.sluice('alerts', 'test', 'team')).toMatchObject({
      exitCode: 0,
      stdout: `A test notice went to ${hook.url}.\n`,
    })
    expect(brief()).toEqual(['null test'])
    hook.on({}, { status: 404 })
    expect(await project.error('alerts', 'test', 'team')).toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/^The alert `team` could not be sent to http.*: HTTP 404/) as string,
    })
    expect(await project.error('alerts', 'test', 'taem')).toMatchObject({
      code: 'not-found',
      message: 'There is no alert `taem`: did you mean `team`?',
    })
  })
})

describe('`sluice up`', () => {
  it('watches while nothing runs, answers other commands, and is asked through the API', async () => {
    const quiet = ALERT.replace('noSuccessFor: 1d', 'noSuccessFor: 500ms')
    await using served = await servedFolder(api, env(), '', quiet)
    await hook.waitFor(1)
    expect(brief()).toEqual(['silent firing'])
    const { stdout } = await served.project.sluice('alerts')
    expect(stdout).toMatch(
      /people: silent since .*: No run ended as success for 500 ms: none was seen so far\./,
    )
    const metrics = await (await fetch(`${served.url}/metrics`)).text()
    expect(metrics).toContain('sluice_alert_conditions_firing{alert="team"} 1')
    const response = await fetch(`${served.url}/api/v1/alerts`)
    expect(alertsView.parse(await response.json()).alerts).toMatchObject([{ name: 'team', state: 'firing' }])
    await served.project.run(SYNC)
    await hook.waitFor(2)
    expect(brief().slice(0, 2)).toEqual(['silent firing', 'silent recovered'])
    const tested = await fetch(`${served.url}/api/v1/alerts/team/test`, { method: 'POST' })
    expect([tested.status, brief().includes('null test')]).toEqual([200, true])
  })
})
