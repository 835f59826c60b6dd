/** Keys that the API takes for one, from the model to the API, in either profile. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sleep } from '@sluice/flow/sleep'
import { startScriptedApi, type RecordedRequest, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { ADDED, manyPeople, peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { bothProfiles, type Opened, type Profile } from './profiles.ts'

const idOf = ({ url }: RecordedRequest): string => decodeURIComponent(url.split('/').at(-1) ?? '')
/** As the API sees a key: without accents, and in lower case. */
const folded = (key: string): string => key.normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase()
/** A removal takes so long, unless another request overtakes it. */
const SLOW_MS = 1_000
const POSTED = `
  added: { ${ADDED.replace('PUT', 'POST')} }
  changed: { ${ADDED} }
  removed: { method: DELETE, path: '/people/{{ id }}' }`

function twinKeysSuite(profile: Profile): void {
  describe(`keys that the API takes for one, ${profile.name}`, () => {
    let api: ScriptedApi
    let opened: Opened
    /** The objects of the API: one for all spellings of a key. */
    let people: Map<string, string>
    /** Resolves once a row is sent that is no removal. */
    let overtaken: PromiseWithResolvers<void>
    /** The answer to a removal, and whether it is carried out. */
    let removes: { status: number; isApplied: boolean; isSlow: boolean }
    /** True for an API that creates by POST and changes by PUT, and says what it does not find. */
    let isStrict: boolean

    beforeEach(async ({ onTestFailed }) => {
      people = new Map()
      overtaken = Promise.withResolvers()
      removes = { status: 200, isApplied: true, isSlow: false }
      isStrict = false
      api = await startScriptedApi()
      const put = (request: RecordedRequest, refusal: number | null) => {
        overtaken.resolve()
        if (refusal !== null) return { status: refusal }
        people.set(folded(idOf(request)), request.body)
        return {}
      }
      const has = (request: RecordedRequest): boolean => people.has(folded(idOf(request)))
      api.on({ method: 'POST' }, request => put(request, has(request) ? 409 : null))
      api.on({ method: 'PUT' }, request => put(request, isStrict && !has(request) ? 404 : null))
      api.on({ method: 'DELETE' }, async request => {
        const signal = new AbortController().signal
        if (removes.isSlow) await Promise.race([overtaken.promise, sleep(SLOW_MS, { signal })])
        if (removes.isApplied) people.delete(folded(idOf(request)))
        return { status: removes.status }
      })
      const files = {
        'project.yaml': peopleYaml(),
        'people.csv': peopleCsv('Ann@x.com,Ann', 'Zoë,Zoe', 'bob@x.com,Bob'),
      }
      opened = await profile.open({ files, env: { API_URL: api.url }, here: true })
      onTestFailed(() => void process.stderr.write(opened.logs()))
    })
    afterEach(async () => {
      await opened[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    })

    const sent = (): readonly string[] => api.requests.map(request => `${request.method} ${idOf(request)}`)
    /** Nothing more is to be said. */
    const assertSettled = async (): Promise<void> => {
      const before = sent().length
      expect((await opened.project.run(SYNC)).view.status).toBe('success')
      expect(sent()).toHaveLength(before)
    }

    it('keep their row, however long the removal of the other spelling takes', async () => {
      const { project } = opened
      await project.run(SYNC)
      overtaken = Promise.withResolvers()
      removes.isSlow = true
      await project.write('people.csv', peopleCsv('ann@x.com,Ann', 'Zoe,Zoe', 'bob@x.com,Bob', 'carl,Carl'))
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
      expect([...people.keys()].toSorted()).toEqual(['ann@x.com', 'bob@x.com', 'carl', 'zoe'])
      expect(sent().slice(3, 5).toSorted()).toEqual(['DELETE Ann@x.com', 'DELETE Zoë'])
      await assertSettled()
    })

    it('keep the row of two that become one, though they were known in two partitions', async () => {
      const { project } = opened
      const others = manyPeople(100).trimEnd()
      await project.write('people.csv', `${others}\nAnn@x.com,Ann\n`)
      await project.run(SYNC)
      await project.write('people.csv', `${others}\nann@x.com,Ann\nAnn@x.com,Ann\n`)
      await project.run(SYNC)
      overtaken = Promise.withResolvers()
      removes.isSlow = true
      await project.write('people.csv', `${others}\nann@x.com,Anna\n`)
      expect((await project.run(SYNC)).view).toMatchObject({ status: 'success' })
      expect(people.get('ann@x.com')).toBe('{"name":"Anna"}')
      expect(people.size).toBe(101)
      await assertSettled()
    })

    it('get their row back, if a removal that failed goes out behind it in a later run', async () => {
      const { project } = opened
      await project.run(SYNC)
      removes = { ...removes, status: 422, isApplied: false }
      await project.write('people.csv', peopleCsv('ann@x.com,Ann', 'Zoë,Zoe', 'bob@x.com,Bob'))
      expect((await project.run(SYNC)).view).toMatchObject({
        status: 'warning',
        triggers: { removed: { rejected: 1 }, added: { delivered: 1 } },
      })
      expect(people.has('ann@x.com')).toBe(true)
      removes = { ...removes, status: 200, isApplied: true }
      await project.run(SYNC)
      expect(people.has('ann@x.com')).toBe(false)
      expect((await project.run(SYNC)).view).toMatchObject({
        status: 'success',
        triggers: { changed: { delivered: 1 } },
      })
      expect([...people.keys()].toSorted()).toEqual(['ann@x.com', 'bob@x.com', 'zoe'])
      await assertSettled()
    })

    it('are created again after a removal that was carried out and answered with an error', async () => {
      const { project } = opened
      isStrict = true
      await project.write('project.yaml', peopleYaml({ triggers: POSTED }))
      await project.run(SYNC)
      removes = { ...removes, status: 500 }
      await project.write('people.csv', peopleCsv('ann@x.com,Ann', 'Zoë,Zoe', 'bob@x.com,Bob'))
      expect((await project.run(SYNC)).view).toMatchObject({
        status: 'warning',
        triggers: { removed: { unknown: 1 }, added: { delivered: 1 } },
      })
      removes = { ...removes, status: 200 }
      // The removal that is repeated takes the object of the other spelling.
      await project.run(SYNC)
      expect((await project.run(SYNC)).view).toMatchObject({
        status: 'success',
        triggers: { added: { delivered: 1 } },
      })
      expect([...people.keys()].toSorted()).toEqual(['ann@x.com', 'bob@x.com', 'zoe'])
      await assertSettled()
    })
  })
}

bothProfiles().forEach(twinKeysSuite)
