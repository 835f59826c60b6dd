/**
 * Rules of a sync for answers, and values captured from them, over several runs. One API is strict, and
 * one makes its own ids.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { embeddedProfile, type Opened, type Profile } from './profiles.ts'

const STRICT = peopleYaml({
  triggers: `
  added: { method: POST, path: '/people/{{ id }}', body: { json: '{"name":{{ row.name | json }}}' } }
  changed: { method: PUT, path: '/people/{{ id }}', body: { json: '{"name":{{ row.name | json }}}' } }
  removed: { method: DELETE, path: '/people/{{ id }}' }`,
  sync: `
errors:
  answers:
    - { status: 409, as: exists }
    - { status: [404, 410], as: missing }
    - { status: 2xx, json: '$.errors[0]', as: rejected }
    - { status: 500, body: Client, as: rejected }`,
})

const THINGS = 'things'
const THINGS_SYNC = `
---
kind: sync
name: ${THINGS}
model: people
destination: api
triggers:
  added:
    method: POST
    path: /things
    body: { fields: { name: name } }
    capture: { id: $.data.id }
  changed: { method: PUT, path: '/things/{{ captured.id }}', body: { fields: { id: { template: '{{ captured.id }}' }, name: name } } }
  removed: { method: DELETE, path: '/things/{{ captured.id }}' }
errors: { answers: [{ status: 404, as: missing }] }
`

/** An API that makes the ids of its objects, larger than JavaScript can count. */
function makesIds(api: ScriptedApi, held: Map<string, string>): void {
  let made = 0
  const put = (id: string, body: string): void => {
    const { name }: { name: string } = JSON.parse(body)
    held.set(id, name)
  }
  api.on({ method: 'POST', url: '/things' }, ({ body }) => {
    made += 1
    const id = `922337203685477580${made}`
    put(id, body)
    // One of its answers lacks the id.
    return { status: 201, body: body.includes('Untold') ? '{}' : `{"data":{"id":${id}}}` }
  })
  api.on({ url: '/things/' }, ({ method, url, body }) => {
    const id = url.replace('/things/', '')
    if (!held.has(id)) return { status: 404 }
    if (method === 'DELETE') held.delete(id)
    else put(id, body)
    return { status: 200 }
  })
}

/** An API that creates only objects that do not exist, and changes and deletes only those that do. */
function strictAnswers(api: ScriptedApi, held: Map<string, string>): void {
  api.on({}, ({ method, url, body }) => {
    const there = held.has(url)
    if (method === 'POST' ? there : !there) return { status: there ? 409 : 404 }
    if (method === 'DELETE') held.delete(url)
    else held.set(url, body)
    return { status: 200 }
  })
}

function answersSuite(profile: Profile): void {
  describe(`${profile.name}: answers`, () => {
    const held = new Map<string, string>()
    const things = new Map<string, string>()
    let api: ScriptedApi
    let world: Opened

    beforeAll(async () => {
      api = await startScriptedApi()
      strictAnswers(api, held)
      makesIds(api, things)
      const files = { 'project.yaml': STRICT + THINGS_SYNC }
      world = await profile.open({ files, env: { API_URL: api.url }, here: true })
    })
    afterAll(async () => {
      await world[Symbol.asyncDispose]()
      await api.close()
    })

    async function runOf(sync: string, ...rows: readonly string[]) {
      await world.project.write('people.csv', peopleCsv(...rows))
      const before = api.requests.length
      const { exitCode, view } = await world.project.run(sync)
      const sent = api.requests.slice(before).map(({ method, url }) => `${method} ${url}`)
      return { exitCode, id: view.id, triggers: view.triggers, sent: sent.sort() }
    }

    const run = (...rows: readonly string[]) => runOf(SYNC, ...rows)
    const failed = async (sync = SYNC): Promise<readonly string[]> =>
      (await world.project.failed(sync)).map(({ key, op, outcome }) => `${op} ${key} ${outcome}`).sort()

    it('for which there are rules bring a strict API to the rows, whatever it holds already and whatever it has lost', async () => {
      held.set('/people/1', '{"name":"old"}')
      const long = 'x'.repeat(100_000)
      api.on({ url: '/people/5' }, { body: `{"text":"${long}","errors":["no"]}` }, { times: 1 })
      api.on({ url: '/people/6' }, { status: 500, body: '<faultcode>env:Client</faultcode>' }, { times: 1 })
      expect(await run('1,Ann', '2,Bob', '3,Cid', '4,Dee', '5,Eve', '6,Fay')).toMatchObject({
        exitCode: 3,
        triggers: { added: { detected: 6, delivered: 3, rejected: 3, unknown: 0 } },
      })
      expect(await failed()).toEqual(['added 1 exists', 'added 5 rejected', 'added 6 rejected'])

      for (const lost of [2, 3, 4]) held.delete(`/people/${lost}`)
      const second = await run('1,Ann', '2,Bobby', '4,Di', '5,Eve', '6,Fay')
      expect(second.sent).toEqual([
        'DELETE /people/3',
        'POST /people/5',
        'POST /people/6',
        'PUT /people/1',
        'PUT /people/2',
        'PUT /people/4',
      ])
      expect(second).toMatchObject({
        exitCode: 3,
        triggers: {
          added: { detected: 2, delivered: 2 },
          changed: { detected: 3, delivered: 1, rejected: 2 },
          removed: { detected: 1, delivered: 1, rejected: 0 },
        },
      })
      expect(await failed()).toEqual(['changed 2 missing', 'changed 4 missing'])
      const attempts = await world.project.attempts('--run', second.id)
      expect(attempts.map(({ keys, outcome }) => `${keys.join()} ${outcome}`).sort()).toEqual([
        '1 delivered',
        '2 missing',
        '3 missing',
        '4 missing',
        '5 delivered',
        '6 delivered',
      ])

      // One of the rows missing at the API has also left the model, so nothing is sent for it.
      const rows = ['1,Ann', '2,Bobby', '5,Eve', '6,Fay']
      expect(await run(...rows)).toMatchObject({ exitCode: 0, sent: ['POST /people/2'] })
      expect(await failed()).toEqual([])
      expect(await run(...rows)).toMatchObject({ exitCode: 0, sent: [] })
      expect(Object.fromEntries(held)).toEqual({
        '/people/1': '{"name":"Ann"}',
        '/people/2': '{"name":"Bobby"}',
        '/people/5': '{"name":"Eve"}',
        '/people/6': '{"name":"Fay"}',
      })
    })
    it('give the ids that an API makes, for all later requests', async () => {
      const id = (made: number): string => `922337203685477580${made}`
      const idOf = (name: string): string => [...things].find(([, held]) => held === name)?.[0] ?? ''
      const first = await runOf(THINGS, '1,Ann', '2,Bob', '3,Cid', '4,Untold')
      expect(first).toMatchObject({ exitCode: 0, triggers: { added: { detected: 4, delivered: 4 } } })
      expect([...things.keys()].sort((a, b) => (a < b ? -1 : 1))).toEqual([id(1), id(2), id(3), id(4)])
      const [ann, bob, cid, untold] = [idOf('Ann'), idOf('Bob'), idOf('Cid'), idOf('Untold')]
      const attempts = await world.project.attempts('--run', first.id, '--key', '4')
      expect(attempts).toMatchObject([
        { outcome: 'delivered', error: expect.stringContaining('not captured: id') },
      ])

      things.delete(cid)
      const second = await runOf(THINGS, '1,Anna', '3,Cyd', '4,Still untold')
      expect(second.sent).toEqual(
        [`DELETE /things/${bob}`, `PUT /things/${ann}`, `PUT /things/${cid}`].sort(),
      )
      expect(second).toMatchObject({
        exitCode: 3,
        triggers: {
          changed: { detected: 3, delivered: 1, rejected: 2 },
          removed: { detected: 1, delivered: 1 },
        },
      })
      expect(await failed(THINGS)).toEqual(['changed 3 missing', 'changed 4 rejected'])

      // Sluice can never send the removal of a row with an unknown id. It says so once, and settles the row.
      const third = await runOf(THINGS, '1,Anna', '2,Bobby', '3,Cyd')
      expect(third.sent).toEqual(['POST /things', 'POST /things'])
      expect(third).toMatchObject({
        exitCode: 3,
        triggers: { added: { detected: 2, delivered: 2 }, removed: { detected: 1, rejected: 1 } },
      })
      expect(await failed(THINGS)).toEqual([])

      const [bobby, cyd] = [idOf('Bobby'), idOf('Cyd')]
      expect([bobby, cyd].sort()).toEqual([id(5), id(6)])
      const fourth = await runOf(THINGS, '1,Anna', '2,Bob')
      expect(fourth).toMatchObject({ exitCode: 0, sent: [`DELETE /things/${cyd}`, `PUT /things/${bobby}`] })
      expect(Object.fromEntries(things)).toEqual({ [ann]: 'Anna', [bobby]: 'Bob', [untold]: 'Untold' })
      expect(api.requests.findLast(({ url }) => url === `/things/${bobby}`)?.body).toBe(
        `{"id":"${bobby}","name":"Bob"}`,
      )
    })
  })
}

answersSuite(embeddedProfile)
