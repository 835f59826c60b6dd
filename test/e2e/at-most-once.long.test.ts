/** `delivery: at-most-once` as people meet it: what is in doubt waits until somebody decides. */
import { describe, expect, it } from 'vitest'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import type { RunView } from '@sluice/contracts/api'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { embeddedProfile, type Profile } from './profiles.ts'

const PROJECT = peopleYaml({ sync: 'delivery: at-most-once' })

function atMostOnceSuite(profile: Profile): void {
  describe(`${profile.name}: with at-most-once, a row that may have arrived`, () => {
    it('is not sent again until somebody says retry or discard', async () => {
      await using api = await startScriptedApi()
      const files = { 'project.yaml': PROJECT }
      await using world = await profile.open({ files, env: { API_URL: api.url }, here: true })
      const { project } = world
      const ask = async (...args: readonly string[]) => {
        const before = api.requests.length
        const { exitCode, stdout } = await project.sluice(...args, '--json')
        const view: RunView = JSON.parse(stdout)
        const sent = api.requests.slice(before).map(({ method, url }) => `${method} ${url}`)
        return { exitCode, notices: view.notices ?? [], sent: sent.sort() }
      }
      const run = async (...rows: readonly string[]) => {
        await project.write('people.csv', peopleCsv(...rows))
        return ask('run', SYNC)
      }
      const failed = async () =>
        (await project.failed(SYNC)).map(({ key, op, outcome }) => `${op} ${key} ${outcome}`).sort()
      const passedOver = [
        expect.stringMatching(/^1 row was passed over, since nobody knows .*sluice retry people/),
      ]

      api.on({ url: '/people/1' }, { status: 500 }, { times: 1 })
      api.on({ url: '/people/2' }, { status: 400 }, { times: 1 })
      expect(await run('1,Ann', '2,Bob', '3,Cid')).toMatchObject({ exitCode: 3, notices: [] })
      expect(await failed()).toEqual(['added 1 unknown', 'added 2 rejected'])

      // A row that surely failed is tried again. One that may have arrived waits, whatever the model says.
      expect(await run('1,Ann', '2,Bob', '3,Cid')).toMatchObject({
        sent: ['PUT /people/2'],
        notices: passedOver,
      })
      expect(await run('1,Anne', '2,Bob', '3,Cid')).toMatchObject({ sent: [], notices: passedOver })
      expect(await run('2,Bob', '3,Cid')).toMatchObject({ sent: [], notices: passedOver })
      expect(await ask('resync', SYNC)).toMatchObject({
        sent: ['PUT /people/2', 'PUT /people/3'],
        notices: passedOver,
      })
      expect(await failed()).toEqual(['added 1 unknown'])

      expect(await ask('retry', SYNC)).toMatchObject({ exitCode: 0, sent: ['DELETE /people/1'], notices: [] })
      expect(await failed()).toEqual([])

      api.on({ url: '/people/3' }, { status: 502 }, { times: 1 })
      expect(await run('2,Bob', '3,Cyd')).toMatchObject({ exitCode: 3, sent: ['PUT /people/3'] })
      expect(await ask('discard', SYNC, '--key', '3')).toMatchObject({ sent: [] })
      expect(await failed()).toEqual([])
      expect(await run('2,Bob', '3,Cyd')).toMatchObject({ exitCode: 0, sent: [], notices: [] })
      expect(await run('2,Bob', '3,Sid')).toMatchObject({ exitCode: 0, sent: ['PUT /people/3'] })
      expect(await run('2,Bob', '3,Sid')).toMatchObject({ exitCode: 0, sent: [] })

      const attempts = await project.attempts('--sync', SYNC)
      expect(attempts.length, 'no intent is shown').toBe(api.requests.length)
    })
  })
}

atMostOnceSuite(embeddedProfile)
