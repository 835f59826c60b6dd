/**
 * Columns that change their types, as the columns of a CSV do with its content. The sync goes on. Rows that
 * read differently are sent, and all others are not. A template for a row that leaves sees the row as it was
 * delivered.
 */
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
name: items
source: files
sql: select * from 'items.csv'
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: sync
name: items
model: items
destination: api
removalGuard: false
triggers:
  added:
    method: POST
    path: /items
    capture: { made: '$.id' }
    body: { json: '{"id":{{ row.id | json }},"amount":{{ row.amount | json }}}' }
  changed:
    method: PUT
    path: '/items/{{ captured.made }}'
    body: { json: '{"was":{{ previous.amount | json }},"is":{{ row.amount | json }}}' }
  removed:
    method: DELETE
    path: '/items/{{ captured.made }}'
    body: { json: '{"id":{{ row.id | json }},"was":{{ row.amount | json }}}' }
`

interface Sent {
  readonly method: string
  readonly url: string
  readonly body: string | null
}

interface Foreseen {
  readonly requests: readonly Sent[]
}

const shown = ({ method, url, body }: Sent): string => `${method} ${url} ${body ?? ''}`

const csv = (rows: readonly (readonly [string, string])[]): string =>
  ['id,amount', ...rows.map(row => row.join(',')), ''].join('\n')

describe('columns that change their types', () => {
  it('stop no run, and only rows that read differently are sent', async ({ onTestFailed }) => {
    await using api = await startScriptedApi()
    await using opened = await embeddedProfile.open({
      files: { 'project.yaml': PROJECT, 'items.csv': csv([]) },
      env: { API_URL: api.url },
      here: true,
    })
    onTestFailed(() => void process.stderr.write(opened.logs()))
    const { project } = opened
    // The API makes this id, which has to survive all changes of the columns.
    for (const id of ['1', '2', '3', '"x"'])
      api.on(
        { method: 'POST', body: `"id":${id},` },
        { status: 201, body: JSON.stringify({ id: `made-${id.replaceAll('"', '')}` }) },
      )
    let seen = 0
    const run = async (rows: readonly (readonly [string, string])[]) => {
      await project.write('items.csv', csv(rows))
      const foreseen: Foreseen = JSON.parse((await project.sluice('preview', 'items', '--json')).stdout)
      const { exitCode } = await project.run('items')
      const requests = api.requests.slice(seen).map(shown).sort()
      seen = api.requests.length
      expect(
        foreseen.requests
          .map(request => shown({ ...request, url: request.url.slice(api.url.length) }))
          .sort(),
      ).toEqual(requests)
      return { exitCode, requests }
    }

    const empty = await run([
      ['1', ''],
      ['2', ''],
    ])
    expect(empty).toMatchObject({ exitCode: 0 })
    expect(empty.requests).toEqual([
      'POST /items {"id":1,"amount":null}',
      'POST /items {"id":2,"amount":null}',
    ])
    expect(
      await run([
        ['1', '5'],
        ['2', ''],
      ]),
    ).toMatchObject({
      exitCode: 0,
      requests: ['PUT /items/made-1 {"was":null,"is":5}'],
    })
    const mixed = await run([
      ['1', '5'],
      ['2', 'n/a'],
      ['3', '05'],
    ])
    expect(mixed).toMatchObject({
      exitCode: 0,
      requests: ['POST /items {"id":3,"amount":"05"}', 'PUT /items/made-2 {"was":null,"is":"n/a"}'],
    })
    const { stderr, stdout } = await project.sluice('runs', 'show', (await project.runs())[0]?.id ?? '')
    expect(stdout + stderr).toContain('amount was a whole number and is text')
    const numbers = await run([
      ['1', '5'],
      ['3', '5'],
    ])
    expect(numbers).toMatchObject({
      exitCode: 0,
      requests: ['DELETE /items/made-2 {"id":2,"was":"n/a"}', 'PUT /items/made-3 {"was":"05","is":5}'],
    })
    expect(
      await run([
        ['1', ''],
        ['3', ''],
      ]),
    ).toMatchObject({
      exitCode: 0,
      requests: ['PUT /items/made-1 {"was":5,"is":null}', 'PUT /items/made-3 {"was":5,"is":null}'],
    })
    expect(
      await run([
        ['1', '1.5'],
        ['3', ''],
      ]),
    ).toMatchObject({
      exitCode: 0,
      requests: ['PUT /items/made-1 {"was":null,"is":1.5}'],
    })
    // If one key is not a number, the column is text, and the other keys stay the same.
    expect(
      await run([
        ['1', '1.5'],
        ['3', ''],
        ['x', ''],
      ]),
    ).toMatchObject({
      exitCode: 0,
      requests: ['POST /items {"id":"x","amount":null}'],
    })
    expect(await run([])).toMatchObject({ exitCode: 0 })
    expect(await run([['1', '2024-02-29']])).toMatchObject({ exitCode: 0 })
  })
})
