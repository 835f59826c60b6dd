/** U+FEFF is a character like any other, in values and keys, from the file to the API, and in failed rows. */
import { describe, expect, it } from 'vitest'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { embeddedProfile } from './embedded-profile.ts'

const PROJECT = `
kind: source
name: files
type: duckdb
path: .
---
kind: model
name: people
source: files
sql: select id, name from 'people.csv'
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: sync
name: people
model: people
destination: api
triggers:
  added: { method: PUT, path: '/people/{{ id }}', body: { json: '{{ row | json }}' } }
  changed: added
  removed: { method: DELETE, path: '/people/{{ id }}' }
`
const MARK = '\u{feff}'
const ROWS = [
  ['C100', `${MARK}Ada`],
  ['C101', 'Bob'],
  ['C102', 'Cyd'],
  [`${MARK}C103`, `Dee${MARK}`],
  [MARK, MARK],
  ['C104', ''],
] as const

const csv = (rows: readonly (readonly [string, string])[]): string =>
  ['id,name', ...rows.map(([id, name]) => `"${id}","${name}"`), ''].join('\n')

describe('byte order marks', () => {
  it('stay where they stand, and no key is invented', async ({ onTestFailed }) => {
    await using api = await startScriptedApi()
    await using opened = await embeddedProfile.open({
      files: { 'project.yaml': PROJECT, 'people.csv': csv(ROWS) },
      env: { API_URL: api.url },
      here: true,
    })
    onTestFailed(() => void process.stderr.write(opened.logs()))
    const { project } = opened
    const urlOf = (id: string): string => `/people/${encodeURIComponent(id)}`
    // The rejected row waits under its key, and no other key appears.
    api.on({ url: urlOf(`${MARK}C103`) }, { status: 422 }, { times: 1 })
    expect((await project.run('people')).exitCode).toBe(3)
    const sent = api.requests.map(({ method, url, body }) => `${method} ${url} ${body}`).sort()
    const wanted = ROWS.map(([id, name]) => `PUT ${urlOf(id)} ${JSON.stringify({ id, name })}`).sort()
    expect(sent).toEqual(wanted)
    const before = api.requests.length
    expect((await project.run('people')).exitCode).toBe(0)
    expect(api.requests.slice(before).map(({ url }) => url)).toEqual([urlOf(`${MARK}C103`)])
    await project.write('people.csv', csv([['C104', '']]))
    expect((await project.run('people')).exitCode).toBe(0)
    const removed = api.requests.slice(before + 1).map(({ method, url }) => `${method} ${url}`)
    expect(removed.sort()).toEqual(
      ROWS.filter(([id]) => id !== 'C104')
        .map(([id]) => `DELETE ${urlOf(id)}`)
        .sort(),
    )
    const known = api.requests.length
    expect((await project.run('people')).exitCode).toBe(0)
    expect(api.requests).toHaveLength(known)
  })
})
