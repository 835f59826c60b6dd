/** Runs that somebody asks for by another command than `run`, in either profile. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { ADDED, peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import type { Opened, Profile } from './profiles.ts'

const TRIGGERS = `
  added: { ${ADDED} }
  changed: { ${ADDED.replace('PUT', 'PATCH')} }
  removed: { method: DELETE, path: '/people/{{ id }}' }`

export function askedRunSuite(profile: Profile): void {
  describe(`a run asked for, ${profile.name},`, () => {
    let api: ScriptedApi
    let opened: Opened

    beforeEach(async ({ onTestFailed }) => {
      api = await startScriptedApi()
      const project = peopleYaml({ triggers: TRIGGERS, sync: 'errors: { giveUpAfter: 2 }' })
      const files = { 'project.yaml': project, 'people.csv': peopleCsv('1,Ann', '2,Bob', '3,Cid') }
      opened = await profile.open({ files, env: { API_URL: api.url }, here: true })
      onTestFailed(() => void process.stderr.write(opened.logs()))
    })
    afterEach(async () => {
      await opened[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    })

    /** Runs a command, and gives its result and its requests. */
    const ask = async (...args: readonly string[]) => {
      const before = api.requests.length
      const { exitCode, stdout, stderr } = await opened.project.sluice(...args, '--json')
      expect(stdout, stderr).not.toBe('')
      const view: RunView = JSON.parse(stdout)
      const sent = api.requests.slice(before).map(({ method, url }) => `${method} ${url}`)
      return { exitCode, view, sent: sent.sort() }
    }
    const failedKeys = async () =>
      (await opened.project.failed(SYNC)).map(({ key, runs }) => `${key} ${runs}`)

    it('sends rows again, gives up those that fail, and forgets what was delivered', async () => {
      api.on({ url: '/people/2' }, { status: 422 })
      expect((await ask('run', SYNC)).exitCode).toBe(3)
      const retried = await ask('retry', SYNC)
      expect(retried).toMatchObject({ exitCode: 3, view: { cause: 'retry' }, sent: ['PUT /people/2'] })
      expect(await failedKeys()).toEqual(['2 2'])

      const gaveUp = await ask('run', SYNC)
      expect(gaveUp).toMatchObject({ exitCode: 0, sent: [] })
      expect(gaveUp.view.notices).toEqual([
        expect.stringContaining('1 row was given up after failing in 2 runs'),
      ])
      expect(await failedKeys()).toEqual([])
      expect(await ask('run', SYNC)).toMatchObject({ exitCode: 0, sent: [] })

      await opened.project.write('people.csv', peopleCsv('1,Ann', '2,Bobby', '3,Cid'))
      expect(await ask('run', SYNC)).toMatchObject({ exitCode: 3, sent: ['PUT /people/2'] })
      const passed = await ask('retry', SYNC, '--key', '1')
      expect(passed).toMatchObject({ exitCode: 0, sent: [], view: { cause: 'retry' } })
      expect(passed.view.notices).toEqual(['no row was tried again: none that waits is as asked for'])
      const missed = await ask('discard', SYNC, '--status', '500')
      expect(missed.view.notices).toEqual(['no row was discarded: none that waits is as asked for'])
      expect(await failedKeys()).toEqual(['2 1'])
      const discarded = await ask('discard', SYNC, '--status', '422', '--key', '2')
      expect(discarded).toMatchObject({ exitCode: 0, sent: [], view: { cause: 'discard' } })
      expect(discarded.view.notices).toEqual([expect.stringContaining('1 row was discarded')])
      expect(await failedKeys()).toEqual([])
      expect(await ask('run', SYNC)).toMatchObject({ exitCode: 0, sent: [] })

      api.on({}, {})
      const resynced = await ask('resync', SYNC)
      expect(resynced).toMatchObject({ exitCode: 0, view: { cause: 'resync' } })
      expect(resynced.sent).toEqual(['PUT /people/1', 'PUT /people/2', 'PUT /people/3'])
      const changed = await ask('resync', SYNC, '--as', 'changed')
      expect(changed.sent).toEqual(['PATCH /people/1', 'PATCH /people/2', 'PATCH /people/3'])
      expect(await ask('run', SYNC)).toMatchObject({ exitCode: 0, sent: [] })

      expect(await ask('reset', SYNC)).toMatchObject({ exitCode: 0, sent: [], view: { cause: 'reset' } })
      expect(await opened.project.runs()).toMatchObject([{ cause: 'reset', status: 'success' }])
      const first = await ask('run', SYNC)
      expect(first).toMatchObject({ exitCode: 0, sent: resynced.sent })

      const page = await opened.project.sluice('runs', '--after', first.view.id, '--json')
      expect(JSON.parse(page.stdout)).toMatchObject({ runs: [{ cause: 'reset' }], next: null })
      const lost = await opened.project.sluice('runs', '--after', resynced.view.id)
      expect(lost).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('is not a cursor') })
    })
  })
}
