/** What answers mean where the sync says so, over runs, in both profiles: against an API that is strict. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { bothProfiles, type Opened } from './profiles.ts'

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

/** An API that creates only what is not there, and changes and deletes only what is. */
function strictAnswers(api: ScriptedApi, held: Map<string, string>): void {
  api.on({}, ({ method, url, body }) => {
    const there = held.has(url)
    if (method === 'POST' ? there : !there) return { status: there ? 409 : 404 }
    if (method === 'DELETE') held.delete(url)
    else held.set(url, body)
    return { status: 200 }
  })
}

describe.each(bothProfiles().filter(({ available }) => available))('$name: rules for answers', profile => {
  const held = new Map<string, string>()
  let api: ScriptedApi
  let world: Opened

  beforeAll(async () => {
    api = await startScriptedApi()
    strictAnswers(api, held)
    world = await profile.open({ files: { 'project.yaml': STRICT }, env: { API_URL: api.url } })
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
    await api.close()
  })

  async function run(...rows: readonly string[]) {
    await world.project.write('people.csv', peopleCsv(...rows))
    const before = api.requests.length
    const { exitCode, view } = await world.project.run(SYNC)
    const sent = api.requests.slice(before).map(({ method, url }) => `${method} ${url}`)
    return { exitCode, id: view.id, triggers: view.triggers, sent: sent.sort() }
  }

  const failed = async (): Promise<readonly string[]> =>
    (await world.project.failed(SYNC)).map(({ key, op, outcome }) => `${op} ${key} ${outcome}`).sort()

  it('bring a strict API to the rows, whatever it holds already and whatever it has lost', async () => {
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

    // One of those that are not there has left the model meanwhile: nothing is left to say of it.
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
})
