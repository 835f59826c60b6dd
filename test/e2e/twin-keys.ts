/** Keys that the API takes for one, from the model to the API, in either profile. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type RecordedRequest, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import type { Opened, Profile } from './profiles.ts'

const idOf = ({ url }: RecordedRequest): string => decodeURIComponent(url.split('/').at(-1) ?? '')

export function twinKeysSuite(profile: Profile): void {
  describe(`keys that the API takes for one, ${profile.name}`, () => {
    let api: ScriptedApi
    let opened: Opened
    /** What the API has: one row for all spellings of a key. */
    let people: Map<string, string>
    /** Every removal waits for it, and gets this status. */
    let gate: Promise<unknown>
    let removes: number

    beforeEach(async ({ onTestFailed }) => {
      people = new Map()
      gate = Promise.resolve()
      removes = 200
      api = await startScriptedApi()
      api.on({ method: 'PUT' }, request => {
        people.set(idOf(request).toLowerCase(), request.body)
        return {}
      })
      api.on({ method: 'DELETE' }, async request => {
        await gate
        if (removes === 200) people.delete(idOf(request).toLowerCase())
        return { status: removes }
      })
      const files = {
        'project.yaml': peopleYaml(),
        'people.csv': peopleCsv('Ann@x.com,Ann', 'bob@x.com,Bob'),
      }
      opened = await profile.open({ files, env: { API_URL: api.url }, here: true })
      onTestFailed(() => void process.stderr.write(opened.logs()))
      await opened.project.run(SYNC)
    })
    afterEach(async () => {
      await opened[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    })

    const sent = (): readonly string[] => api.requests.map(request => `${request.method} ${idOf(request)}`)

    it('keep their row, however long the removal of the other spelling takes', async () => {
      const { project } = opened
      const release = Promise.withResolvers<void>()
      gate = release.promise
      await project.write('people.csv', peopleCsv('ann@x.com,Ann', 'bob@x.com,Bob', 'carl@x.com,Carl'))
      const running = project.run(SYNC)
      await api.waitFor(() => sent().includes('DELETE Ann@x.com') && sent().includes('PUT carl@x.com'))
      expect(sent()).not.toContain('PUT ann@x.com')
      release.resolve()
      expect((await running).view).toMatchObject({ status: 'success' })
      expect(sent().at(-1)).toBe('PUT ann@x.com')
      expect([...people.keys()].toSorted()).toEqual(['ann@x.com', 'bob@x.com', 'carl@x.com'])
    })

    it('get their row back, if a removal that failed goes out behind it in a later run', async () => {
      const { project } = opened
      removes = 500
      await project.write('people.csv', peopleCsv('ann@x.com,Ann', 'bob@x.com,Bob'))
      expect((await project.run(SYNC)).view).toMatchObject({
        status: 'warning',
        triggers: { removed: { rejected: 0, unknown: 1 }, added: { delivered: 1 } },
      })
      expect(people.has('ann@x.com')).toBe(true)
      removes = 200
      await project.run(SYNC)
      expect(people.has('ann@x.com')).toBe(false)
      expect((await project.run(SYNC)).view).toMatchObject({
        status: 'success',
        triggers: { changed: { delivered: 1 } },
      })
      expect([...people.keys()].toSorted()).toEqual(['ann@x.com', 'bob@x.com'])
      const before = sent().length
      await project.run(SYNC)
      expect(sent()).toHaveLength(before)
    })
  })
}
