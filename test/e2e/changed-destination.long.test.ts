/**
 * A sync whose destination becomes another one, as a user meets it. Two APIs say what each
 * of them has received.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import { embeddedProfile, type Opened, type Profile } from './profiles.ts'

interface Destination {
  readonly url: string
  readonly headers?: string
  /** Further fields of the sync. */
  readonly sync?: string
}

function projectTo({ url, headers = '', sync = '' }: Destination): string {
  const destination = headers === '' ? '' : `headers: { ${headers} }`
  return peopleYaml({ destination, sync }).replace('${API_URL}', url)
}

function changedDestinationSuite(profile: Profile): void {
  describe(`a changed destination, ${profile.name}`, () => {
    let dev: ScriptedApi
    let prod: ScriptedApi
    let opened: Opened

    beforeEach(async ({ onTestFailed }) => {
      dev = await startScriptedApi()
      prod = await startScriptedApi()
      const files = { 'project.yaml': projectTo({ url: dev.url }), 'people.csv': manyPeople(3) }
      const grants = { SLUICE_SECRET_TOKEN_FOR: '127.0.0.1', SLUICE_SECRET_TENANT_FOR: '127.0.0.1' }
      const env = { SLUICE_SECRET_TOKEN: 'token-1', SLUICE_SECRET_TENANT: 'tenant-1', ...grants }
      opened = await profile.open({ files, env, here: true })
      onTestFailed(() => void process.stderr.write(opened.logs()))
    })
    afterEach(async () => {
      await opened[Symbol.asyncDispose]()
      await dev[Symbol.asyncDispose]()
      await prod[Symbol.asyncDispose]()
    })

    const sentTo = (api: ScriptedApi): readonly string[] =>
      api.requests.map(({ method, url }) => `${method} ${url}`).sort()
    const moveTo = (destination: Destination): Promise<void> =>
      opened.project.write('project.yaml', projectTo(destination))
    const ALL = [1, 2, 3].map(id => `PUT /people/${id}`)

    it('is held before anything is sent, and tells both ways out', async () => {
      const { project } = opened
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
      expect(sentTo(dev)).toEqual(ALL)
      await moveTo({ url: `${prod.url}/v1` })
      const { exitCode, stdout } = await project.sluice('run', SYNC)
      expect(exitCode, stdout).toBe(4)
      expect(stdout).toContain('destination changed')
      expect(stdout).toContain(`from ${dev.url} to ${prod.url}/v1`)
      expect(stdout).toContain('Nothing was sent')
      expect(stdout).toMatch(/sluice --dir \S+ approve \S+ --same-destination/)
      expect(stdout).toMatch(/sluice --dir \S+ approve \S+ --new-destination/)
      const [held] = await project.runs()
      expect(held).toMatchObject({
        status: 'held',
        held: { rows: 3, destination: { from: dev.url, to: `${prod.url}/v1` } },
      })
      expect(await project.error('approve', held?.id ?? '')).toMatchObject({
        exitCode: 2,
        message: expect.stringMatching(/--same-destination.*--new-destination/s),
      })
      const advice = (await project.sluice('approve', held?.id ?? '')).stderr
      expect(advice).toMatch(/sluice --dir \S+ approve \S+ --same-destination/)
      // No command sends a row to an API other than the one that the state is of.
      for (const ask of ['resync', 'replay', 'retry']) {
        const more = ask === 'replay' ? ['--since', '1h', '--yes', '--json'] : ['--json']
        const asked = await project.sluice(ask, SYNC, ...more)
        expect(asked.exitCode, `${ask}: ${asked.stdout}${asked.stderr}`).toBe(4)
      }
      expect(sentTo(prod)).toEqual([])
      // Back at the first one, nothing holds a run.
      await moveTo({ url: dev.url })
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
      expect(sentTo(dev)).toEqual(ALL)
    })

    it('goes on with the state at the same API, and asks no second time', async () => {
      const { project } = opened
      await project.run(SYNC)
      await moveTo({ url: prod.url })
      await project.write('people.csv', manyPeople(4))
      const { view: held } = await project.run(SYNC)
      const approved = await project.sluice('approve', held.id, '--same-destination', '--json')
      expect(approved.exitCode, approved.stdout + approved.stderr).toBe(0)
      expect(JSON.parse(approved.stdout)).toMatchObject({
        id: held.id,
        status: 'success',
        triggers: { added: { delivered: 1 } },
      })
      expect(sentTo(prod)).toEqual(['PUT /people/4'])
      await project.write('people.csv', manyPeople(5))
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
      expect(sentTo(prod)).toEqual(['PUT /people/4', 'PUT /people/5'])
      expect(sentTo(dev)).toEqual(ALL)
    })

    it('begins a state at another API, which gets every row', async () => {
      const { project } = opened
      await project.run(SYNC)
      await moveTo({ url: prod.url })
      await project.write('people.csv', manyPeople(2))
      const { view: held } = await project.run(SYNC)
      const approved = await project.sluice('approve', held.id, '--new-destination', '--json')
      expect(approved.exitCode, approved.stdout + approved.stderr).toBe(0)
      expect(JSON.parse(approved.stdout)).toMatchObject({
        status: 'success',
        triggers: { added: { delivered: 2 }, removed: { detected: 0 } },
      })
      expect(sentTo(prod)).toEqual(ALL.slice(0, 2))
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
      expect(sentTo(prod)).toEqual(ALL.slice(0, 2))
      expect(sentTo(dev)).toEqual(ALL)
    })

    it.each(['skip-existing', 'ask'])('sends every row to another API, also with firstRun %s', async how => {
      const { project } = opened
      await moveTo({ url: dev.url, sync: 'firstRun: skip-existing' })
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
      await moveTo({ url: prod.url, sync: `firstRun: ${how}` })
      const { view: held } = await project.run(SYNC)
      const approved = await project.sluice('approve', held.id, '--new-destination', '--json')
      expect(approved.exitCode, approved.stdout + approved.stderr).toBe(0)
      expect(JSON.parse(approved.stdout)).toMatchObject({ triggers: { added: { delivered: 3 } } })
      expect([sentTo(dev), sentTo(prod)]).toEqual([[], ALL])
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
      expect(sentTo(prod)).toEqual(ALL)
    })

    it('is one whose account differs; a secret, a path of a trigger and a name are none', async () => {
      const { project } = opened
      const headers = (id: string, token: string): string =>
        `X-Application-Id: ${id}, X-App-Token: "${token}", X-Tenant: "\${secret:tenant}"`
      await moveTo({ url: dev.url, headers: headers('APP1', '${secret:token}') })
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
      const same = projectTo({ url: `${dev.url}/`, headers: headers('APP1', 'token-2') })
      const renamed = same.replace('name: api', 'name: crm').replace('destination: api', 'destination: crm')
      await project.write('project.yaml', renamed.replaceAll('/people/{{ id }}', '/v2/people/{{ id }}'))
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
      await moveTo({ url: dev.url, headers: headers('APP2', 'token-2') })
      const { exitCode, stdout } = await project.sluice('run', SYNC)
      expect(exitCode, stdout).toBe(4)
      expect(stdout).toContain('destination changed')
      expect(stdout).toContain('x-application-id')
      expect(sentTo(dev)).toEqual(ALL)
    })

    it('is no question while the first one has nothing', async () => {
      const { project } = opened
      dev.on({}, () => ({ status: 404 }))
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'warning' })
      await moveTo({ url: prod.url })
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
      expect(sentTo(prod)).toEqual(ALL)
    })
  })
}

changedDestinationSuite(embeddedProfile)
